"""What is refined reaches Postgres once, under the pipeline's own login."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from configs.settings import Settings
from data_jobs.catalogue import find_table
from data_jobs.sync import SERVED, sync
from data_jobs.sync_marks import SyncOvertaken
from data_jobs.sync_verification import compare
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import CHICKEN, MILK, make_customer, make_receipt, make_store, store_rows

LATER = RECEIVED_AT + timedelta(hours=1)


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the pipeline's own role."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        yield connection


def look(owner: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def test_a_receipt_that_ingest_wrote_is_confirmed_and_not_rewritten(
    lake_with_stores: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()], receipts=[receipt])
    land(lake_with_stores, bronze.RECEIPTS, [receipt])
    refine_here(lake_with_stores)
    done = {each.table: each for each in sync(lake_with_stores, pipeline)}
    assert (done["silver.receipts"].written, done["silver.receipts"].confirmed) == (0, 1)
    (row,) = look(owner, "SELECT document, refined_at FROM retail.receipts")
    assert row["document"] == receipt.canonical()
    assert row["refined_at"] is not None


def test_a_row_the_sync_writes_is_the_row_that_ingest_writes(
    lake_with_stores: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    receipts = [
        make_receipt(),
        make_receipt(sequence_number=2, customer_id=None, lines=[CHICKEN, {**MILK, "line_number": 3}]),
    ]
    store_rows(settings, stores=[make_store()], receipts=receipts)
    query = "SELECT to_jsonb(r) - 'received_at' - 'refined_at' AS r FROM retail.receipts r ORDER BY receipt_id"
    by_ingest = look(owner, query)
    owner.execute("DELETE FROM retail.receipts")
    land(lake_with_stores, bronze.RECEIPTS, receipts)
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    assert look(owner, query) == by_ingest


def test_a_correction_reaches_postgres_and_keeps_the_first_digest(
    lake_with_stores: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    first, corrected = make_receipt(), make_receipt(lines=[MILK])
    store_rows(settings, stores=[make_store()], receipts=[first])
    (before,) = look(owner, "SELECT first_digest FROM retail.receipts")
    land(lake_with_stores, bronze.RECEIPTS, [first])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    land(lake_with_stores, bronze.RECEIPTS, [corrected], LATER)
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    (after,) = look(owner, "SELECT document, first_digest, payload_digest, total_cents, skus FROM retail.receipts")
    assert after["document"] == corrected.canonical()
    assert after["first_digest"] == before["first_digest"] != after["payload_digest"]
    assert (after["total_cents"], after["skus"]) == (349, [MILK["sku"]])


def test_profiles_and_products_arrive_and_the_customer_is_seen_wherever_they_shop(
    lake_with_stores: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(store_id=368)])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    (profile,) = look(owner, "SELECT * FROM retail.customer_profiles")
    assert (profile["region_ids"], profile["visits"], profile["lifetime_spend_cents"]) == ([1, 2], 1, 1048)
    assert json.loads(profile["document"])["favourite_store_id"] == 368
    assert look(owner, "SELECT region_ids FROM retail.customers") == [{"region_ids": [1, 2]}]
    assert {row["sku"] for row in look(owner, "SELECT sku FROM retail.products")} == {MILK["sku"], CHICKEN["sku"]}


def test_what_goes_from_gold_goes_from_postgres(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(), make_receipt(sequence_number=2, customer_id="C0000002")])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(receipt_type="void")], LATER)
    refine_here(lake_with_stores)
    done = {each.table: each for each in sync(lake_with_stores, pipeline)}
    assert done["gold.customer_profiles"].deleted == 1
    assert look(owner, "SELECT customer_id FROM retail.customer_profiles") == [{"customer_id": "C0000002"}]


def test_syncing_again_writes_nothing_and_the_watermarks_stand_at_the_heads(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    assert list(sync(lake_with_stores, pipeline))
    assert list(sync(lake_with_stores, pipeline)) == []
    marks = {row["table_name"]: row["version"] for row in look(owner, "SELECT * FROM sync.watermarks")}
    served = [table.name for table in SERVED if lake_with_stores.exists(table.name)]
    assert marks == {name: lake_with_stores.open(name).version() for name in served}


def test_a_sync_that_fails_leaves_neither_rows_nor_watermark(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    owner.execute("ALTER TABLE sync.watermarks ADD CONSTRAINT closed CHECK (version < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        list(sync(lake_with_stores, pipeline))
    assert look(owner, "SELECT receipt_id FROM retail.receipts") == []
    owner.execute("ALTER TABLE sync.watermarks DROP CONSTRAINT closed")
    list(sync(lake_with_stores, pipeline))
    assert len(look(owner, "SELECT receipt_id FROM retail.receipts")) == 1


def test_a_slower_sync_that_was_overtaken_writes_nothing(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    table = find_table("silver.receipts")
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline, [table]))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=2)])
    refine_here(lake_with_stores)
    # The rival's commit falls between our reading of the watermark and our moving it.
    owner.execute("""
        CREATE FUNCTION public.rival() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN UPDATE sync.watermarks SET version = version + 1; RETURN NULL; END $$""")
    owner.execute("CREATE TRIGGER rival AFTER INSERT ON retail.receipts EXECUTE FUNCTION public.rival()")
    with pytest.raises(SyncOvertaken):
        list(sync(lake_with_stores, pipeline, [table]))
    assert len(look(owner, "SELECT receipt_id FROM retail.receipts")) == 1


def test_a_missing_watermark_means_reading_the_table_as_it_stands(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    for number in range(1, 4):
        land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
        refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    owner.execute("TRUNCATE sync.watermarks; DELETE FROM retail.receipts WHERE receipt_id LIKE '%3__'")
    list(sync(lake_with_stores, pipeline))
    assert len(look(owner, "SELECT receipt_id FROM retail.receipts")) == 3


def test_verification_counts_what_is_missing_and_what_differs(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=number) for number in range(1, 5)])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    table = find_table("silver.receipts")
    equal = compare(lake_with_stores, pipeline, table)
    assert (equal.lake_rows, equal.postgres_rows, equal.missing, equal.different) == (4, 4, 0, 0)
    ids = rows_of(lake_with_stores, "silver.receipts")["receipt_id"].sort().to_list()
    owner.execute("DELETE FROM retail.receipts WHERE receipt_id = %s", [ids[0]])
    owner.execute("UPDATE retail.receipts SET payload_digest = '' WHERE receipt_id = %s", [ids[1]])
    off = compare(lake_with_stores, pipeline, table)
    assert (off.postgres_rows, off.missing, off.different) == (3, 1, 1)
    for served in SERVED:
        assert compare(lake_with_stores, pipeline, served).different == (1 if served is table else 0)
