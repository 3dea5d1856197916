"""Receipts as Silver keeps them: late, repeated and corrected ones, and what is told of till and payment."""

from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from receipts import bronze
from receipts.lake import Lake
from receipts.products import search_text
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import CHICKEN, MILK, make_receipt

LATER = RECEIVED_AT + timedelta(hours=1)


def test_the_operator_and_every_payment_are_told_as_the_receipt_has_them(lake_with_stores: Lake) -> None:
    tenders = [
        {"tender_type": "gift_card", "amount_cents": 48},
        {"tender_type": "credit", "amount_cents": 1000, "card_brand": "visa", "card_last4": "4242"},
    ]
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(operator_id="OP7", tenders=tenders)])
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=2, receipt_type="void", tenders=[])])
    refine_here(lake_with_stores)
    paid, void = rows_of(lake_with_stores, "silver.receipts").sort("sequence_number").to_dicts()
    assert paid["operator_id"] == "OP7"
    assert paid["tenders"] == [
        {"type": "gift_card", "amount_cents": 48, "card_brand": None, "card_last4": None},
        {"type": "credit", "amount_cents": 1000, "card_brand": "visa", "card_last4": "4242"},
    ]
    assert (void["operator_id"], void["tenders"], void["card_last4"]) == (None, [], [])


def test_a_receipt_that_comes_again_changes_nothing_but_when_it_was_received(lake_with_stores: Lake) -> None:
    names = ("silver.receipt_lines", "silver.products", "silver.returns", "gold.store_days", "gold.customer_profiles")
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    before = {name: rows_of(lake_with_stores, name) for name in names}
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(), make_receipt()], LATER)
    refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, "silver.receipts").to_dicts()
    assert row["received_at"] == LATER
    for name, rows in before.items():
        assert_frame_equal(rows_of(lake_with_stores, name), rows, check_row_order=False)


@pytest.mark.parametrize("days", [1, 40, 400])
def test_a_receipt_that_comes_late_is_counted_on_the_day_it_was_printed(lake_with_stores: Lake, days: int) -> None:
    printed = make_receipt()
    land(lake_with_stores, bronze.RECEIPTS, [printed], RECEIVED_AT + timedelta(days=days))
    refine_here(lake_with_stores)
    (day,) = rows_of(lake_with_stores, "gold.store_days").to_dicts()
    assert (day["day"], day["sales"]) == (printed.business_date, 1)


def test_a_correction_in_the_same_batch_and_one_in_the_next_leave_the_same(lake_with_stores: Lake) -> None:
    first, second = make_receipt(), make_receipt(sequence_number=2)
    corrected = [make_receipt(lines=[MILK], operator_id="OP2"), make_receipt(sequence_number=2, lines=[MILK])]
    land(lake_with_stores, bronze.RECEIPTS, [first, corrected[0], second])
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.RECEIPTS, [corrected[1]], LATER)
    refine_here(lake_with_stores)
    rows = rows_of(lake_with_stores, "silver.receipts").sort("sequence_number")
    assert rows["document"].to_list() == [receipt.canonical() for receipt in corrected]
    assert rows["operator_id"].to_list() == ["OP2", None]
    assert rows_of(lake_with_stores, "silver.receipt_lines")["sku"].to_list() == [MILK["sku"]] * 2


def test_a_product_is_described_in_the_words_that_search_compares(lake_with_stores: Lake) -> None:
    lines = [
        MILK,
        CHICKEN,
        {**MILK, "line_number": 3, "sku": "77", "description": "CRÈME BRÛLÉE™ CHIX  BRST", "category": ""},
    ]
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(lines=lines)])
    refine_here(lake_with_stores)
    products = rows_of(lake_with_stores, "silver.products").sort("sku")
    texts = products.select("description", "department", "category")
    assert products["search_text"].to_list() == [search_text(*row) for row in texts.iter_rows()]
    (brulee,) = products.filter(pl.col("sku") == "77")["search_text"]
    assert {"creme", "brulee", "chicken", "breast"} <= set(brulee.split())
