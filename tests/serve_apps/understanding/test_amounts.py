"""Amounts as people say them, in cents."""

from __future__ import annotations

import pytest

from serve_apps.understanding.amounts import find_cents
from serve_apps.understanding.numerals import number, ordinal, spelt
from serve_apps.understanding.slate import Slate


def cents(text):
    found, _, _ = find_cents(Slate.of(text))
    return found and (found.low, found.high)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$12.99", (1299, 1299)),
        ("$1,234.50", (123450, 123450)),
        ("forty-five dollars", (4500, 4500)),
        ("twelve fifty", (1250, 1250)),
        ("20 dollars and 15 cents", (2015, 2015)),
        ("99 cents", (99, 99)),
        ("total was 33.10", (3310, 3310)),
        ("spent sixty", (6000, 6000)),
        ("a hundred and fifty bucks", (15000, 15000)),
        ("around $40", (3000, 5000)),
        ("like 30 dollars", (2000, 4000)),
        ("maybe $5", (0, 1500)),
        ("~$20", (1000, 3000)),
        ("45ish", (3500, 5500)),
        ("fifty bucks or so", (4000, 6000)),
        ("under 20", (None, 2000)),
        ("less than fifteen bucks", (None, 1500)),
        ("over $100", (10000, None)),
        ("at least 50", (5000, None)),
        ("$20 or more", (2000, None)),
        ("between 30 and 50", (3000, 5000)),
        ("$30-50", (3000, 5000)),
        ("30 to 50", (3000, 5000)),
        ("thirty-some bucks", (3000, 3999)),
        ("in the thirties", (3000, 3999)),
        ("$18 and change", (1800, 1899)),
        ("just under $50", (4000, 5000)),
        ("a little over 30", (3000, 4000)),
        ("not over 40", (None, 4000)),
        ("over 60 bucks but under 80", (6000, 8000)),
        ("$30 +/- 5", (2500, 3500)),
        ("in the 60 dollar range", (5000, 7000)),
        ("$30ish", (2000, 4000)),
        ("low 40s", (4000, 4400)),
        ("high thirties", (3600, 3999)),
        ("$100+", (10000, None)),
        ("amt: 1,204.50", (120450, 120450)),
        ("one forty two eleven", (14211, 14211)),
        ("two hundred something", (20000, 29999)),
        ("a couple hundred dollars", (20000, 20000)),
        ("fifteen hundred dollars", (150000, 150000)),
        ("$1.5k", (150000, 150000)),
        ("close to a grand", (99000, 101000)),
        ("99¢", (99, 99)),
    ],
)
def test_an_amount_is_read(text, expected):
    assert cents(text) == expected


@pytest.mark.parametrize(
    "text",
    ["2 gallons of milk", "5 lbs chicken", "7up and v8 with 2% milk", "12 pack of coke", "over 3 days", "around 6 people",
     "3 to 5 items", "like new", "two rotisserie chickens", "wd-40"],
)  # fmt: skip
def test_quantities_and_names_are_no_amounts(text):
    assert cents(text) is None


def test_numbers_are_read_as_written_and_as_said():
    assert number("1,234.5") == 1234.5
    assert number("two hundred and five") == 205
    assert number("fortyfive") == 45
    assert number("a couple hundred") == 200
    assert number("two thousand and five hundred") == 2500
    assert number("1.5k") == 1500
    assert spelt("seven seven one two") == "7712"
    assert ordinal("21st") == ordinal("twenty-first") == 21
