"""Bronze becomes Silver and Gold: without Ray, on real Delta tables."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_jobs.accounts import Accounts, reconcile
from data_jobs.batches import refine
from data_jobs.catalogue import find_table
from data_jobs.refinement import Refinery, refine_round
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here, rows_of, run_here
from tests.fixtures.retail import CHICKEN, MILK, make_receipt, make_store

LATER = RECEIVED_AT + timedelta(hours=1)
EARLIER = RECEIVED_AT - timedelta(hours=1)


def test_a_receipt_becomes_one_silver_row_and_a_row_per_line(lake_with_stores: Lake) -> None:
    receipt = make_receipt()
    land(lake_with_stores, bronze.RECEIPTS, [receipt])
    refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, "silver.receipts").to_dicts()
    assert row["receipt_id"] == receipt.receipt_id
    assert (row["region_id"], row["total_cents"], row["item_count"]) == (1, 1048, 2)
    assert (row["skus"], row["card_last4"]) == ([MILK["sku"], CHICKEN["sku"]], ["4242"])
    assert row["document"] == receipt.canonical()
    lines = rows_of(lake_with_stores, "silver.receipt_lines").sort("line_number")
    assert lines["amount_cents"].to_list() == [349, 699]
    assert lines["customer_id"].to_list() == ["C0000001"] * 2


def test_a_purchase_falls_on_the_stores_own_day(lake_with_stores: Lake) -> None:
    half_past_four_utc = datetime(2026, 11, 17, 5, 30, tzinfo=UTC)  # half past midnight in New York, not in Chicago
    receipts = [make_receipt(store_id=store, purchased_at=half_past_four_utc) for store in (367, 368)]
    land(lake_with_stores, bronze.RECEIPTS, receipts)
    refine_here(lake_with_stores)
    rows = rows_of(lake_with_stores, "silver.receipts").sort("store_id")
    assert rows["purchased_on"].to_list() == [date(2026, 11, 17), date(2026, 11, 16)]


def test_refining_again_commits_nothing(lake_with_stores: Lake) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(), make_receipt(sequence_number=2, customer_id=None)])
    assert refine_here(lake_with_stores)
    assert refine_here(lake_with_stores) == []


def test_compaction_of_bronze_is_not_read_as_new_receipts(lake_with_stores: Lake) -> None:
    for number in (1, 2):
        land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    refine_here(lake_with_stores)
    lake_with_stores.open("bronze.receipts").optimize.compact()
    assert refine_here(lake_with_stores) == []
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=3)])
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.receipts").height == 3


def test_a_refinery_that_remembers_finds_what_comes_between_its_rounds(lake_with_stores: Lake) -> None:
    lake, refinery = lake_with_stores, Refinery(lake_with_stores, run_here, parallelism=2)
    for number in range(1, 5):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
        assert {batch.table for batch in refine_round(refinery)} >= {"silver.receipts", "gold.customer_profiles"}
        assert list(refine_round(refinery)) == []
        lake.open("bronze.receipts").optimize.compact()  # a version with nothing new
        assert list(refine_round(refinery)) == []
    assert rows_of(lake, "gold.customer_profiles")["visits"].to_list() == [4]


@pytest.mark.parametrize("order", ["as sent", "late", "together"])
def test_the_version_received_last_serves_whatever_order_it_comes_in(lake_with_stores: Lake, order: str) -> None:
    first, corrected = make_receipt(), make_receipt(lines=[MILK])
    match order:
        case "as sent":
            land(lake_with_stores, bronze.RECEIPTS, [first])
            refine_here(lake_with_stores)
            land(lake_with_stores, bronze.RECEIPTS, [corrected], LATER)
        case "late":
            land(lake_with_stores, bronze.RECEIPTS, [corrected], LATER)
            refine_here(lake_with_stores)
            land(lake_with_stores, bronze.RECEIPTS, [first])
        case _:
            land(lake_with_stores, bronze.RECEIPTS, [corrected], LATER)
            land(lake_with_stores, bronze.RECEIPTS, [first])
    refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, "silver.receipts").to_dicts()
    assert row["document"] == corrected.canonical()
    assert rows_of(lake_with_stores, "silver.receipt_lines")["sku"].to_list() == [MILK["sku"]]
    profile = rows_of(lake_with_stores, "gold.customer_profiles").row(0, named=True)
    assert profile["lifetime_spend_cents"] == 349
    assert reconcile(lake_with_stores) == Accounts(2, 1, 1, 0, 0, 0)
    assert refine_here(lake_with_stores) == []


def test_versions_received_in_one_instant_are_told_apart_by_their_order(lake_with_stores: Lake) -> None:
    first, corrected = make_receipt(), make_receipt(lines=[MILK])
    land(lake_with_stores, bronze.RECEIPTS, [corrected, first])
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.receipts")["document"].to_list() == [first.canonical()]


def test_a_correction_that_moves_a_receipt_to_another_customer_changes_both_profiles(lake_with_stores: Lake) -> None:
    receipts = [make_receipt(sequence_number=n) for n in (1, 2)]
    land(lake_with_stores, bronze.RECEIPTS, receipts)
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=2, customer_id="C0000002")], LATER)
    refine_here(lake_with_stores)
    spend = dict(rows_of(lake_with_stores, "gold.customer_profiles")["customer_id", "lifetime_spend_cents"].iter_rows())
    assert spend == {"C0000001": 1048, "C0000002": 1048}


def test_a_customer_whose_only_receipt_is_voided_has_no_profile(lake_with_stores: Lake) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(receipt_type="void")], LATER)
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "gold.customer_profiles").is_empty()


def test_bad_rows_are_quarantined_with_their_reason_and_every_bronze_row_is_accounted_for(
    lake_with_stores: Lake,
) -> None:
    good, unknown_store = make_receipt(), make_receipt(store_id=999)
    future = make_receipt(sequence_number=9, purchased_at=RECEIVED_AT + timedelta(days=2), business_date="2026-11-20")
    land(lake_with_stores, bronze.RECEIPTS, [good, unknown_store, future])
    wrong_sum = make_receipt(sequence_number=5).canonical().replace('"subtotal_cents":1048', '"subtotal_cents":1049')
    other_key = make_receipt(sequence_number=6)
    land_payloads(
        lake_with_stores,
        bronze.RECEIPTS,
        [
            (None, "no JSON"),
            (None, '{"lines": 3}'),
            (make_receipt(sequence_number=5).receipt_id, wrong_sum),
            (good.receipt_id, other_key.canonical()),
        ],
    )
    land_payloads(lake_with_stores, bronze.RECEIPTS, [(None, "{}")], refusal="lines: Field required")
    refine_here(lake_with_stores)
    refused = rows_of(lake_with_stores, "silver.quarantine")
    assert sorted(refused["expectation"].to_list()) == [
        "adds_up", "gateway", "known_store", "not_in_the_future", "readable", "readable", "same_key",
    ]  # fmt: skip
    assert refused.filter(expectation="gateway")["reason"].to_list() == ["lines: Field required"]
    assert refused["reason"].null_count() == 0
    assert set(refused["bronze_table"]) == {"bronze.receipts"}
    assert reconcile(lake_with_stores) == Accounts(8, 1, 0, 7, 0, 0)


def test_a_correction_that_is_refused_leaves_the_version_before_it(lake_with_stores: Lake) -> None:
    receipt = make_receipt()
    land(lake_with_stores, bronze.RECEIPTS, [receipt])
    refine_here(lake_with_stores)
    broken = receipt.canonical().replace('"total_cents":1048', '"total_cents":1')
    land_payloads(lake_with_stores, bronze.RECEIPTS, [(receipt.receipt_id, broken)], LATER)
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.receipts")["document"].to_list() == [receipt.canonical()]
    assert reconcile(lake_with_stores) == Accounts(2, 1, 0, 1, 0, 0)


def test_a_store_that_comes_in_the_same_round_as_its_receipts_is_known(lake: Lake) -> None:
    land(lake, bronze.STORES, [make_store()])
    land(lake, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake)
    assert reconcile(lake) == Accounts(1, 1, 0, 0, 0, 0)


def test_a_batch_that_reached_one_of_two_sinks_is_finished_with_the_same_range_and_lookups(lake: Lake) -> None:
    table = find_table("silver.receipts")
    land(lake, bronze.STORES, [make_store()])
    land(lake, bronze.RECEIPTS, [make_receipt(), make_receipt(store_id=999)])
    refine(lake, find_table("silver.stores"), run_here, 2)
    refine(lake, table, run_here, 2)
    commit = Path(lake.uri(table.name), "_delta_log", f"{1:020d}.json")
    commit.unlink()  # as if killed between the commit to the quarantine and this one
    assert rows_of(lake, "silver.receipts").is_empty()
    land(lake, bronze.STORES, [make_store(store_id=999, name="New")])
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=2, store_id=999)])
    refine_here(lake)
    assert reconcile(lake) == Accounts(3, 2, 0, 1, 0, 0)
    assert refine(lake, table, run_here, 2) is None


def test_a_product_is_called_as_its_last_sale_calls_it_whatever_order_receipts_come_in(lake_with_stores: Lake) -> None:
    new = make_receipt(sequence_number=2, lines=[{**MILK, "description": "MILK WHITE"}])
    old = make_receipt(sequence_number=1, lines=[MILK], business_date="2026-11-16")
    land(lake_with_stores, bronze.RECEIPTS, [new])
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.RECEIPTS, [old])
    refine_here(lake_with_stores)
    products = rows_of(lake_with_stores, "silver.products")
    assert products.select("sku", "description").rows() == [(MILK["sku"], "MILK WHITE")]
    assert "milk" in products["search_text"][0]


def test_many_batches_give_the_same_tables_as_one(
    lake_with_stores: Lake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at_once = Lake(str(tmp_path_factory.mktemp("other") / "lake"))
    land(
        at_once,
        bronze.STORES,
        [make_store(), make_store(store_id=368, name="Gary", region_id=2, time_zone="America/Chicago")],
    )
    receipts = [
        make_receipt(
            sequence_number=n // 2 + 1,  # every receipt comes twice: the second time corrected
            store_id=367 + n % 4 // 2,
            customer_id=f"C{n % 3}",
            lines=[MILK, CHICKEN, {**MILK, "line_number": 3}][: 3 - n % 2],
            purchased_at=datetime(2026, 11, 17, 12, 0, tzinfo=UTC) - timedelta(days=n % 40),
            business_date=date(2026, 11, 17) - timedelta(days=n // 2 % 40),
        )
        for n in range(24)
    ]
    for n, receipt in enumerate(receipts):
        at = RECEIVED_AT + timedelta(minutes=n)
        land(lake_with_stores, bronze.RECEIPTS, [receipt], at)
        land(at_once, bronze.RECEIPTS, [receipt], at)
        if n % 5 == 0:
            refine_here(lake_with_stores)
    refine_here(lake_with_stores)
    refine_here(at_once)
    for name in ("silver.receipts", "silver.receipt_lines", "silver.products", "gold.customer_profiles"):
        key = list(find_table(name).key)
        one, many = (rows_of(each, name).sort(key) for each in (at_once, lake_with_stores))
        # Where a batch ends decides which superseded sale of a product was seen; not what the product is called.
        helpers = [column for column in ("sequence",) if column in one.columns]
        helpers += ["last_receipt_id", "line_number"] if name == "silver.products" else []
        assert one.drop(helpers).equals(many.drop(helpers)), name


def test_spend_in_gold_is_what_the_documents_add_up_to(lake_with_stores: Lake) -> None:
    refund = {**CHICKEN, "line_number": 1, "quantity": -1.0, "amount_cents": -699, "discount_cents": 0}
    land(
        lake_with_stores,
        bronze.RECEIPTS,
        [make_receipt(), make_receipt(sequence_number=2, receipt_type="return", lines=[refund])],
    )
    refine_here(lake_with_stores)
    (profile,) = rows_of(lake_with_stores, "gold.customer_profiles").to_dicts()
    assert (profile["lifetime_spend_cents"], profile["visits"], profile["returns"]) == (349, 1, 1)
    lines = rows_of(lake_with_stores, "silver.receipt_lines")
    assert lines.select(pl.col("amount_cents").sum()).item() == 349
