from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.errors import InvalidInput
from receipts.money import EXPONENTS, SYMBOLS, format_cents, to_cents

CENTS = st.integers(-(10**11), 10**11)


@given(CENTS, st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_survives_the_way_to_decimal_and_back(cents, currency):
    assert to_cents(Decimal(cents).scaleb(-EXPONENTS[currency]), currency) == cents


@given(CENTS, st.sampled_from(sorted(EXPONENTS)))
def test_what_is_shown_is_what_is_meant(cents, currency):
    shown = format_cents(cents, currency)
    assert shown.startswith("-") == (cents < 0)
    assert to_cents(shown.replace(SYMBOLS[currency], "").replace(",", ""), currency) == cents


@given(st.integers(-(10**9), 10**9))
def test_a_float_means_its_shortest_decimal_form(cents):
    assert to_cents(cents / 100) == cents


@pytest.mark.parametrize(
    ("amount", "cents"), [("0.005", 1), ("-0.005", -1), (1.005, 101), ("2.675", 268), ("0.0049", 0), (" 12.99 ", 1299)]
)
def test_halves_are_rounded_away_from_zero(amount, cents):
    assert to_cents(amount) == cents


@pytest.mark.parametrize("amount", ["", "twelve", "NaN", "Infinity", "1,50", "9e999999", float("inf")])
def test_what_is_no_number_is_refused_with_an_example(amount):
    with pytest.raises(InvalidInput, match=r"amount: expected a decimal number such as 12\.99"):
        to_cents(amount)


def test_an_unknown_currency_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match="currency: BTC is not one of CAD, EUR"):
        to_cents("1", "BTC")


@pytest.mark.parametrize(
    ("cents", "currency", "shown"),
    [(-123450, "USD", "-$1,234.50"), (5, "EUR", "€0.05"), (1500, "JPY", "¥1,500"), (0, "GBP", "£0.00")],
)
def test_an_amount_reads_as_people_write_it(cents, currency, shown):
    assert format_cents(cents, currency) == shown


def test_every_currency_has_a_symbol():
    assert SYMBOLS.keys() == EXPONENTS.keys()
