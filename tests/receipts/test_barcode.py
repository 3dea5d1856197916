import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts import barcode

DIGITS = st.integers(1, 15).flatmap(lambda n: st.text("0123456789", min_size=2 * n, max_size=2 * n))


def scan(digits: str) -> str:
    """Read the printed bars back as a scanner does: edges to modules, modules to symbols, symbols to digits."""
    bars, width = barcode.bars(digits)
    modules = ["0"] * width
    for at, wide in bars:
        modules[at : at + wide] = "1" * wide
    text = "".join(modules).strip("0")
    assert modules.index("1") == barcode.QUIET
    patterns = {}
    for value, widths in enumerate(barcode._WIDTHS):
        patterns["".join("10"[i % 2] * int(w) for i, w in enumerate(widths))] = value
    assert text.endswith("1100011101011")  # the stop pattern of ISO/IEC 15417
    read = [patterns[text[i : i + 11]] for i in range(0, len(text) - 13, 11)]
    start, *data, check = read
    assert start == 105
    assert check == (105 + sum(i * value for i, value in enumerate(data, 1))) % 103
    return "".join(f"{value:02d}" for value in data)


@given(DIGITS)
def test_a_scanner_reads_back_what_was_printed(digits: str):
    assert scan(digits) == digits


def test_every_symbol_is_eleven_modules_wide_and_unlike_any_other():
    *data, stop = barcode._WIDTHS
    assert len(data) == len(set(data)) == 106
    assert {sum(map(int, widths)) for widths in data} == {11}
    assert all(sum(map(int, widths[::2])) % 2 == 0 for widths in data)  # even bars: the code's own parity check
    assert sum(map(int, stop)) == 13


def test_a_receipt_number_takes_176_modules_with_its_quiet_zones():
    assert barcode.bars("2611170036700300000142")[1] == 176


@pytest.mark.parametrize("digits", ["123", "12a4", "١٢٣٤"])
def test_what_set_c_cannot_print_is_refused(digits: str):
    with pytest.raises(ValueError, match="even number of digits"):
        barcode.symbols(digits)
