import json
import re
import unicodedata
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from receipts.card_numbers import DESTROYED, contains_card_number, destroy_card_numbers
from receipts.identity import NaturalKey, display, receipt_id
from tests.receipts.test_identity import KEYS

# What the networks publish for testing.
PUBLISHED = [
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "6759649826438453",
    "6200000000000005",
    "6304000000000000018",
]


def luhn_digit(body):
    """Write ISO/IEC 7812-1 annex B out once more, plainly, so that one reading checks the other."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)


@st.composite
def cards(draw):
    prefix, length = draw(
        st.sampled_from(
            [("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("37", 15), ("36", 14), ("6011", 16), ("62", 19)]
        )
    )
    missing = length - len(prefix) - 1
    body = prefix + draw(st.text("0123456789", min_size=missing, max_size=missing))
    return body + luhn_digit(body)


@pytest.mark.parametrize("number", PUBLISHED)
def test_every_published_test_number_is_found_and_destroyed(number):
    assert contains_card_number(f"paid with {number}, thanks")
    assert destroy_card_numbers(f"paid with {number}, thanks") == f"paid with {DESTROYED}, thanks"


@given(cards(), st.sampled_from([" ", "-", " - ", "\u00a0", "–", ".", "/", "  "]), st.sampled_from([4, 3, 5, 1]))
def test_a_card_number_is_found_however_it_is_grouped(number, separator, size):
    grouped = separator.join(number[i : i + size] for i in range(0, len(number), size))
    text = f'{{"note":"card {grouped}."}}'
    assert contains_card_number(text)
    left = destroy_card_numbers(text)
    assert not contains_card_number(left)
    assert number[-5:] not in left.replace(separator, "")


@given(cards(), st.text("0123456789", min_size=1, max_size=12), st.sampled_from([" ", "-"]))
def test_a_card_number_beside_other_digits_is_found(number, others, separator):
    for text in (f"{others}{separator}{number}", f"{number}{separator}{others}"):
        assert contains_card_number(text)
        assert number not in destroy_card_numbers(text)


def test_the_security_code_beside_it_does_not_hide_a_card_number():
    assert destroy_card_numbers("order 12345 4111-1111-1111-1111 123 12/28") == f"order 12345 {DESTROYED} 123 12/28"


@given(cards())
def test_json_escapes_and_digits_of_other_scripts_do_not_hide_a_card_number(number):
    hidden = "".join(f"\\u{ord(c):04x}" for c in number)
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    spaced = "\u00a0".join((number[:4], number[4:8], number[8:12], number[12:]))
    for text in (f'{{"x":"{hidden}"}}', wide, json.dumps(wide), json.dumps(spaced)):
        assert contains_card_number(text)
        assert not contains_card_number(destroy_card_numbers(text))


@given(cards(), st.integers(1, 9))
def test_a_number_that_fails_the_luhn_check_is_left_alone(number, shift):
    wrong = number[:-1] + str((int(number[-1]) + shift) % 10)
    assert not contains_card_number(f"ref {wrong}.")


@given(st.text())
def test_destroying_twice_changes_nothing_more(text):
    once = destroy_card_numbers(text)
    assert destroy_card_numbers(once) == once


@given(st.text())
def test_a_text_without_a_card_number_comes_back_unchanged(text):
    if not contains_card_number(text):
        assert destroy_card_numbers(text) == text


# What may stand between two digits of a card number, and texts to hide one among: none of them ends or begins with a
# digit or a separator, since the rules for what is beside a number are tested by themselves.
SEPARATORS = st.text("  -–./,_\u00a0\u200b\ufffd\t", max_size=3) | st.just("\\")  # two in JSON, so no more of it
DIGITS = st.sampled_from([ord("0"), 0xFF10, 0x0660, 0x0966, 0x1D7CE])  # ASCII, full-width, Arabic, Devanagari, bold
AROUND = st.text(max_size=30).map(lambda text: f"{text}<")


@st.composite
def written(draw):
    """Write a card number in groups of any size, parted by anything, in any digits, as it is or as JSON escapes."""
    number, zero = draw(cards()), draw(DIGITS)
    pieces = [chr(zero + int(number[0]))]
    whole = draw(st.booleans())  # in one piece or in groups
    for digit in number[1:]:
        pieces += ("" if whole else draw(st.just("") | SEPARATORS), chr(zero + int(digit)))
    text = "".join(pieces)
    assume(not re.fullmatch(r"\d{1,7}\.\d+", text))  # a decimal: left alone
    return number, json.dumps(text)[1:-1] if draw(st.booleans()) else text


def digits_of(text):
    """Return all digits of a text as ASCII, with escapes of JSON undone: nothing is hidden from this."""
    undone = re.sub(
        r"(?:\\u[0-9a-f]{4})+", lambda match: json.loads(f'"{match[0]}"').encode("utf-8", "replace").decode(), text
    )
    return "".join(str(unicodedata.decimal(c)) for c in undone if c.isdecimal())


@given(st.lists(st.tuples(AROUND, written()), min_size=1, max_size=4), AROUND)
def test_no_card_number_among_any_text_in_any_grouping_outlives_destruction(parts, end):
    text = "".join(f"{around}{number}>" for around, (_, number) in parts) + end
    assert contains_card_number(text)
    left = destroy_card_numbers(text)
    assert not contains_card_number(left)
    assert destroy_card_numbers(left) == left
    for _, (number, _) in parts:
        assert number not in digits_of(left)


@given(st.lists(st.tuples(st.integers(1, 30), st.text("0123456789", min_size=1, max_size=25)), max_size=12))
def test_any_digits_in_any_groups_hold_no_card_number_once_destroyed(groups):
    text = "".join(" -./,"[count % 5] * (count % 4) + digits for count, digits in groups)
    left = destroy_card_numbers(text)
    assert not contains_card_number(left)
    assert destroy_card_numbers(left) == left


@given(st.text(st.characters(exclude_categories=["Nd"])), st.text("0123456789 -.", max_size=12))
def test_a_text_of_fewer_than_13_digits_comes_back_unchanged(text, few):
    plain = text.replace("\\", "")  # an escape could stand for a digit
    for mixed in (plain + few, few + plain, few.join((plain, ""))):
        assert destroy_card_numbers(mixed) == mixed


def test_a_key_after_the_number_of_a_line_is_told_from_a_fraction_by_whoever_joins_them():
    assert not contains_card_number("lines.0.4222222222222")  # so keys are looked at one by one: ingest/refusals.py


@given(KEYS)
def test_a_receipt_id_is_no_card_number_in_either_spelling(key):
    assert not contains_card_number(receipt_id(key))
    assert not contains_card_number(f"original {display(receipt_id(key))} returned")


def test_a_card_number_beside_a_displayed_receipt_id_is_found():
    shown = display(receipt_id(NaturalKey(412, 3, date(2026, 11, 17), 9)))
    assert destroy_card_numbers(f"{shown} 4111111111111111") == f"{shown} {DESTROYED}"


@given(st.text("0123456789", min_size=12, max_size=12))
def test_a_product_code_is_no_card_number(body):
    check = -sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(body)) % 10  # GS1 General Specifications 7.9
    assert not contains_card_number(f'{{"sku":"{body}{check}"}}')


@pytest.mark.parametrize(
    "text",
    [
        "0.3333333333333333",
        "[1.3333333333333333, 2.2046226218487757]",
        "353879234252633",
        "0000 0000 0000 0000",
        "12-34",
    ],
)
def test_decimals_phone_identifiers_and_zeroes_are_no_card_numbers(text):
    assert not contains_card_number(text)


# A reader that goes back over what it has read takes hours for each of these.
_LONG = 200_000  # times


@pytest.mark.parametrize(
    "text",
    [
        "0" * 5 * _LONG,
        "4" * 5 * _LONG,
        "0 " * _LONG,
        "0 - " * _LONG,
        "0    " * _LONG,
        "000000000000 x" * (_LONG // 10),
        "\\" * 5 * _LONG,
        "\\u0030" * _LONG,
        "\\u00" * _LONG,
        "\\ud835" * _LONG,
        "\x00" * 5 * _LONG,
        "0\x00" * _LONG,
        "0" + "\x00" * 5 * _LONG + "x",
        "0" + " " * 5 * _LONG + "0",
        '"sku": "' * _LONG,
        "000000-00000-000-000000-00 " * (_LONG // 20),
        "1.3333333333333333 " * (_LONG // 10),
    ],
    ids=lambda text: ascii(text[:9]),
)
def test_hostile_text_is_read_in_one_pass_and_a_card_number_after_it_is_still_found(text):
    assert not contains_card_number(text)
    assert destroy_card_numbers(text) == text
    assert destroy_card_numbers(f"{text}<4111111111111111>") == f"{text}<{DESTROYED}>"


def test_many_card_numbers_without_a_break_are_destroyed_in_one_pass():
    assert destroy_card_numbers("4111111111111111 " * 20_000).count("4111") == 0
    assert destroy_card_numbers("4111111111111111x" * 20_000) == f"{DESTROYED}x" * 20_000
