"""What stands on a mailed receipt, and what a gift receipt keeps to itself."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.mailing.lines import lines_of
from serve_apps.mailing.sheet import Row, lay_out, one_line
from tests.fixtures.retail import CHICKEN, MILK, make_receipt, make_store

GRAPES = {
    "line_number": 3, "sku": "7", "description": "GRAPES RED", "quantity": 2.5, "unit": "lb", "unit_price_cents": 199,
    "amount_cents": 498,
}  # fmt: skip
WHOLE = make_receipt(
    lines=[MILK, CHICKEN, GRAPES, {**MILK, "line_number": 4}],
    tax_cents=70,
    operator_id="17",
    business_date="2026-11-17",
)


def text(sheet, width=48) -> str:
    return "\n".join(line.text for line in lines_of(sheet, width))


def test_a_receipt_reads_as_the_till_printed_it():
    assert (
        text(lay_out(WHOLE, make_store(), gift=False), 40)
        == """\
              East Liberty
            6343 Penn Avenue
          Pittsburgh, PA 15206
              412-555-0101

Tue 11/17/2026                   6:05 PM
Register 3  Op 17              No 000001
----------------------------------------
2 × FLUID MILK WHITE ONLY          $6.98
CHIX: ROTISSERIE (HOT)             $7.99
  Savings                         -$1.00
GRAPES RED                         $4.98
  2.5 lb @ $1.99
----------------------------------------
Subtotal                          $18.95
Tax                                $0.70
TOTAL                             $19.65
Visa •••• 4242                    $19.65
----------------------------------------
4 items                  You saved $1.00"""
    )


def test_a_gift_receipt_tells_no_price_sum_saving_or_payment():
    sheet = lay_out(WHOLE, make_store(), gift=True)
    told = text(sheet)
    assert "*** GIFT RECEIPT ***" in told
    for kept in ("2 × FLUID MILK WHITE ONLY", "CHIX: ROTISSERIE (HOT)", "2.5 lb", "4 items", "No 000001"):
        assert kept in told
    assert sheet.sums == ()
    assert not re.search(r"\$|\d\.\d\d|Savings|saved|TOTAL|Tax|Visa|4242", told)


def test_returns_and_voids_are_stamped_and_name_their_original():
    original = make_receipt().receipt_id
    sheet = lay_out(
        make_receipt(receipt_type="return", sequence_number=9, original_receipt_id=original), make_store(), gift=False
    )
    assert sheet.stamps == ("RETURN",)
    assert Row("Original", "261117-00367-003-000001-03") in sheet.facts


def test_a_store_without_street_state_or_telephone_has_no_empty_lines():
    sheet = lay_out(WHOLE, make_store(street="", state="", phone=""), gift=False)
    assert sheet.address == ("Pittsburgh 15206",)


def test_amounts_of_other_currencies_are_written_their_way():
    sheet = lay_out(make_receipt(currency="JPY"), make_store(), gift=False)
    assert Row("TOTAL", "¥1,048", "sum") in sheet.sums


@pytest.mark.parametrize("breaker", ["\r\n", "\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\t"])
def test_whatever_breaks_a_line_is_a_blank(breaker: str):
    assert one_line(f"East{breaker}Liberty") == "East Liberty"


@given(st.text())
def test_a_text_of_one_line_has_one_line_that_can_be_seen(value: str):
    made = one_line(value)
    assert len(made.splitlines()) <= 1
    assert made.isprintable()
    assert one_line(made) == made


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200), st.integers(30, 60))
def test_no_line_is_wider_than_the_paper(description: str, width: int):
    line = {**MILK, "description": "x" + re.sub(r"[\x00-\x1f\x7f]", "", description)[:198].strip()}
    store = make_store(name="A very long name of a store " * 6, street="Street " * 25)
    for gift in (True, False):
        lines = list(lines_of(lay_out(make_receipt(lines=[line]), store, gift=gift), width))
        assert max(len(one.text) for one in lines) <= width
        assert all("\n" not in one.text for one in lines)
