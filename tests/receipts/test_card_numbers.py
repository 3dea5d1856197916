import json
from datetime import date

import pytest
from hypothesis import given
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


def test_a_megabyte_of_lone_digits_is_read_in_one_pass():
    assert not contains_card_number("0 " * 500_000)
