from datetime import UTC, datetime

import pytest

from receipts.models import Tender
from receipts.paper import clock, group_lines, tender_name
from tests.fixtures.retail import CHICKEN, MILK, make_receipt


def test_equal_lines_are_put_together_and_still_add_up():
    receipt = make_receipt(lines=[MILK, {**MILK, "line_number": 2}, {**CHICKEN, "line_number": 3}])
    first, second = group_lines(receipt.lines, {2})
    assert (first.times, first.gross_cents, first.marked) == (2, 698, True)
    assert (second.times, second.gross_cents, second.discount_cents) == (1, 799, 100)


def test_lines_that_differ_in_price_or_quantity_stay_apart():
    dearer = {**MILK, "line_number": 2, "amount_cents": 399}
    twice = {**MILK, "line_number": 3, "quantity": 2.0}
    assert [group.times for group in group_lines(make_receipt(lines=[MILK, dearer, twice]).lines)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("tender", "said"),
    [
        ({"tender_type": "credit", "card_brand": "visa"}, "Visa"),
        ({"tender_type": "credit", "card_brand": "MasterCard"}, "MasterCard"),
        ({"tender_type": "gift_card"}, "Gift Card"),
        ({"tender_type": "ebt"}, "EBT"),
        ({"tender_type": "cash"}, "Cash"),
    ],
)
def test_a_payment_is_called_by_its_card_or_by_how_it_was_made(tender: dict, said: str):
    assert tender_name(Tender.model_validate({"amount_cents": 1, **tender})) == said


@pytest.mark.parametrize(
    ("hour", "said"), [(0, "12:05 AM"), (9, "9:05 AM"), (12, "12:05 PM"), (18, "6:05 PM"), (23, "11:05 PM")]
)
def test_the_clock_is_read_as_people_say_it(hour: int, said: str):
    assert clock(datetime(2026, 11, 17, hour, 5, tzinfo=UTC)) == said
