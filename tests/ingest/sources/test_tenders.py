"""How baskets are paid."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.mixing import mix
from ingest.sources.tenders import tender_column

AMOUNTS = st.tuples(st.integers(-50_000, 500_000), st.integers(0, 5_000), st.integers(-50_000, 500_000))


def tenders(rows: list[tuple[int, int, int]], payers: list[int]) -> list[list[dict[str, object]]]:
    due = pl.DataFrame(rows, schema=["total_cents", "coupon_cents", "food_cents"], orient="row")
    numbers = np.array(payers)
    return [json.loads(text) for text in tender_column(due, mix(numbers, "payer"), mix(np.arange(len(rows)), "basket"))]


@given(rows=st.lists(AMOUNTS, min_size=1, max_size=40))
def test_tenders_add_up_to_the_total_and_never_go_the_other_way(rows):
    for (total, _, _), paid in zip(rows, tenders(rows, list(range(len(rows)))), strict=True):
        assert sum(tender["amount_cents"] for tender in paid) == total
        assert all(tender["amount_cents"] * total > 0 for tender in paid)


def test_a_coupon_pays_no_more_than_is_owed():
    ((coupon,),) = tenders([(300, 500, 0)], [1])
    assert coupon == {"tender_type": "coupon", "amount_cents": 300}


def test_nothing_owed_is_paid_by_nothing():
    assert tenders([(0, 200, 0)], [1]) == [[]]


def test_food_benefits_pay_for_food_only():
    paid = tenders([(1_000, 0, 600)] * 2_000, list(range(2_000)))
    by_benefits = [tender for basket in paid for tender in basket if tender["tender_type"] == "ebt"]
    assert by_benefits
    assert {tender["amount_cents"] for tender in by_benefits} == {600}


def test_a_payer_keeps_one_card():
    cards = {tender.get("card_last4") for basket in tenders([(999, 0, 0)] * 500, [7] * 500) for tender in basket}
    assert len(cards - {None}) <= 1
