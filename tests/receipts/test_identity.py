from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from receipts.errors import InvalidInput
from receipts.identity import DIGITS, NaturalKey, display, natural_key, parse_receipt_id, receipt_id

KEYS = st.builds(
    NaturalKey,
    store_id=st.integers(1, 99_999),
    register_id=st.integers(1, 999),
    business_date=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    sequence_number=st.integers(1, 999_999),
)
EXAMPLE = NaturalKey(412, 3, date(2026, 11, 17), 123)


def test_the_example_of_the_documentation_has_the_id_that_stands_there():
    # 26 11 17 | 00412 | 003 | 000123 and 98 - (body * 100 mod 97), computed by hand
    body = "26111700412003000123"
    assert receipt_id(EXAMPLE) == body + f"{98 - int(body + '00') % 97:02d}"
    assert display(receipt_id(EXAMPLE))[:-3] == "261117-00412-003-000123"


@given(KEYS)
def test_an_id_is_22_digits_and_gives_its_natural_key_back(key):
    digits = receipt_id(key)
    assert len(digits) == DIGITS
    assert digits.isdigit()
    assert natural_key(digits) == key
    assert parse_receipt_id(digits) == digits


@given(KEYS, KEYS)
def test_two_natural_keys_never_share_an_id(one, other):
    assert (receipt_id(one) == receipt_id(other)) == (one == other)


@given(KEYS, st.sampled_from(["-", " ", "–", " - ", "\t"]))
def test_an_id_is_read_as_it_is_displayed_whatever_parts_its_groups(key, separator):
    shown = display(receipt_id(key))
    assert parse_receipt_id(f"  {shown.replace('-', separator)} ") == receipt_id(key)


@given(KEYS, st.integers(0, DIGITS - 1), st.integers(1, 9))
def test_every_single_misread_digit_is_detected(key, position, shift):
    digits = receipt_id(key)
    wrong = digits[:position] + str((int(digits[position]) + shift) % 10) + digits[position + 1 :]
    with pytest.raises(InvalidInput, match="receipt_id"):
        parse_receipt_id(wrong)


@given(KEYS, st.integers(0, DIGITS - 2))
def test_every_swap_of_two_neighbouring_digits_is_detected(key, position):
    digits = receipt_id(key)
    assume(digits[position] != digits[position + 1])
    wrong = digits[:position] + digits[position + 1] + digits[position] + digits[position + 2 :]
    with pytest.raises(InvalidInput, match="receipt_id"):
        parse_receipt_id(wrong)


@given(KEYS)
def test_one_receipt_has_one_id_although_other_check_digits_leave_the_same_remainder(key):
    digits = receipt_id(key)
    for check in range(100):
        if (other := f"{digits[:-2]}{check:02d}") != digits:
            with pytest.raises(InvalidInput, match="check digits"):
                parse_receipt_id(other)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_in_one_sentence_that_says_what_is_accepted(text):
    assume(sum(c.isdigit() for c in text) != DIGITS)
    with pytest.raises(InvalidInput, match="YYMMDD-SSSSS-RRR-NNNNNN-CC") as caught:
        parse_receipt_id(text)
    assert caught.value.field == "receipt_id"


@pytest.mark.parametrize(
    "body", ["26133100412003000123", "26023000412003000123", "26111700000003000123", "26111700412000000123"]
)
def test_an_id_with_good_check_digits_but_an_impossible_part_is_refused(body):
    with pytest.raises(InvalidInput, match=r"no date|not between"):
        parse_receipt_id(f"{body}{98 - int(body) * 100 % 97:02d}")


@pytest.mark.parametrize("text", ["٢٦١١١٧٠٠٤١٢٠٠٣٠٠٠١٢٣٤٥", "2611170041200300012", "", "²²²²²²²²²²²²²²²²²²²²²²"])
def test_digits_of_other_scripts_and_wrong_lengths_are_refused(text):
    with pytest.raises(InvalidInput, match="expected 22 digits"):
        parse_receipt_id(text)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"store_id": 0}, "store_id"),
        ({"store_id": 100_000}, "store_id"),
        ({"register_id": 1_000}, "register_id"),
        ({"sequence_number": 0}, "sequence_number"),
        ({"business_date": date(1999, 12, 31)}, "business_date"),
        ({"business_date": date(2100, 1, 1)}, "business_date"),
    ],
)
def test_a_part_out_of_range_is_named(change, field):
    with pytest.raises(InvalidInput, match=field):
        receipt_id(EXAMPLE._replace(**change))


@given(KEYS, KEYS)
def test_ids_sort_by_business_date_first(one, other):
    assume(one.business_date < other.business_date)
    assert receipt_id(one) < receipt_id(other)
