"""Compaction changes files, not data: on real Delta tables, beside writers."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Event

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from data_jobs.catalogue import find_table
from data_jobs.changes import list_files
from data_jobs.sync import SERVED
from data_jobs.upkeep import compaction, layout
from data_jobs.upkeep.compaction import compact, compact_next
from data_jobs.upkeep.maintained import find_kept
from data_jobs.upkeep.vacuum import Limits, vacuum
from ingest.bronze_writing import commit_rows, open_for_append
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import MILK, make_receipt

BRONZE = find_kept("bronze.receipts")
SILVER = find_table("silver.receipts")


def _land_days(lake: Lake, batches: int, days: int) -> None:
    """Land and refine batches that each hold one receipt of every day: files that all overlap."""
    for batch in range(batches):
        receipts = [
            make_receipt(
                sequence_number=batch + 1,
                business_date=date(2026, 11, 17) - timedelta(days=day),
                purchased_at=datetime(2026, 11, 17, 12, tzinfo=UTC) - timedelta(days=day),
            )
            for day in range(days)
        ]
        land(lake, bronze.RECEIPTS, receipts, RECEIVED_AT + timedelta(minutes=batch))
        refine_here(lake)


def test_a_table_of_many_small_files_is_compacted_and_nobody_reads_it_as_new(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    for number in range(1, 41):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    refine_here(lake)
    before = rows_of(lake, "bronze.receipts").sort("sequence")
    (done,) = compact(lake, thorough=False)
    assert (done.table, done.files_before, done.files_after, done.rows) == ("bronze.receipts", 40, 1, 40)
    assert list_files(lake.open("bronze.receipts")).height == 1
    assert rows_of(lake, "bronze.receipts").equals(before)
    assert refine_here(lake) == []
    assert list(compact(lake, thorough=False)) == []


def test_no_row_of_the_change_feed_comes_from_compaction(lake_with_stores: Lake) -> None:
    _land_days(lake_with_stores, 6, 3)
    version = lake_with_stores.open(SILVER.name).version()
    assert compact_next(lake_with_stores, SILVER, thorough=True) is not None
    feed = lake_with_stores.open(SILVER.name).load_cdf(starting_version=version + 1)
    assert pa.table(feed.read_all()).num_rows == 0


def test_files_that_overlap_are_sorted_apart_so_that_a_day_is_in_one_file(
    lake_with_stores: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    _land_days(lake_with_stores, 6, 8)
    before = rows_of(lake_with_stores, SILVER.name).sort("receipt_id")
    size = int(list_files(lake_with_stores.open(SILVER.name))["size_bytes"].max() or 0)
    monkeypatch.setattr(layout, "TARGET_BYTES", size)  # these files are large ones
    monkeypatch.setattr(layout, "_SMALL_BYTES", size // 100)
    monkeypatch.setattr(layout, "_GROUP_BYTES", 6 * size)
    assert list(compact(lake_with_stores, [SILVER], thorough=True))
    files = list_files(lake_with_stores.open(SILVER.name)).sort("min.business_date")
    assert files.height > 1
    assert (files["max.business_date"].head(-1) <= files["min.business_date"].tail(-1)).all()
    assert rows_of(lake_with_stores, SILVER.name).sort("receipt_id").equals(before)
    land(
        lake_with_stores,
        bronze.RECEIPTS,
        [make_receipt(sequence_number=1, customer_id="C9")],
        RECEIVED_AT + timedelta(hours=1),
    )
    refine_here(lake_with_stores)  # a merge into the sorted files
    assert rows_of(lake_with_stores, SILVER.name).height == before.height


def test_a_batch_that_commits_in_between_makes_compaction_give_way(
    lake_with_stores: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_with_stores
    _land_days(lake, 6, 2)
    real = compaction.read_group

    def overtaken(*arguments):
        rows = real(*arguments)
        corrected = make_receipt(sequence_number=1, customer_id="C0000009")
        land(lake, bronze.RECEIPTS, [corrected], RECEIVED_AT + timedelta(hours=1))
        refine_here(lake)
        return rows

    monkeypatch.setattr(compaction, "read_group", overtaken)
    assert compact_next(lake, SILVER, thorough=True) is None
    monkeypatch.undo()
    rows = rows_of(lake, SILVER.name)
    assert rows["receipt_id"].n_unique() == rows.height == 12
    assert "C0000009" in rows["customer_id"].to_list()
    assert compact_next(lake, SILVER, thorough=True) is not None
    assert rows_of(lake, SILVER.name).height == 12


def test_writers_of_bronze_and_compaction_do_not_stand_in_each_others_way(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    for number in range(1, 41):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    head = lake.open("bronze.receipts")  # as a gateway has looked at it
    assert compact_next(lake, BRONZE, thorough=False) is not None
    head.create_write_transaction(
        [],
        "append",
        head.schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction("bronze-writer", 41)]),
    )
    stale = lake.open("bronze.receipts")
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=99)])
    write_deltalake(stale, rows_of(lake, "bronze.receipts").head(1).to_arrow(), mode="append")
    assert lake.open("bronze.receipts").transaction_version("bronze-writer") == 41
    assert rows_of(lake, "bronze.receipts").height == 42


def test_every_served_table_is_kept_up() -> None:
    assert {find_kept(table.name) for table in SERVED} == set(SERVED)


def test_the_files_of_a_partition_stay_in_it(lake_with_stores: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, table = lake_with_stores, find_table("gold.product_sales")
    for month in (1, 2):
        for number in range(1, 5):
            on = date(2026, month, number)
            lines = [{**MILK, "sku": f"{month}{number}"}]
            at = datetime(2026, month, number, 17, tzinfo=UTC)
            receipt = make_receipt(sequence_number=number, business_date=on, purchased_at=at, lines=lines)
            land(lake, bronze.RECEIPTS, [receipt], at + timedelta(minutes=1))
            refine_here(lake)
    before = rows_of(lake, table.name).sort(table.key)
    assert list_files(lake.open(table.name)).height > 2
    monkeypatch.setattr(layout, "_SOME_SMALL", 1)
    assert list(compact(lake, [table], thorough=True))
    assert list_files(lake.open(table.name)).height == 2
    assert rows_of(lake, table.name).sort(table.key).equals(before)
    (done,) = vacuum(lake, {}, Limits(timedelta(0), timedelta(0), 1), [table])
    assert done.files > 2
    assert rows_of(lake, table.name).sort(table.key).equals(before)


def test_gateways_that_write_all_the_time_lose_no_row_and_do_not_stop_compaction(lake: Lake) -> None:
    written, compacted, stop = list[int](), list[int](), Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            head = open_for_append(lake, bronze.RECEIPTS)
            at = RECEIVED_AT + timedelta(seconds=number)
            commit_rows(head, [(str(number), 367, number, at, "test", f"{number:064x}", "{}", None)], ())
            written.append(number)
            number += 1

    with ThreadPoolExecutor(1) as gateway:
        writing = gateway.submit(write)
        deadline = time.monotonic() + 120
        while len(compacted) < 3 and not writing.done():
            done = compact_next(lake, BRONZE, thorough=True)
            compacted += [done.files_before] if done is not None else []
            assert time.monotonic() < deadline, f"{len(compacted)} compactions beside {len(written)} commits"
        stop.set()
        writing.result(timeout=60)
    assert rows_of(lake, "bronze.receipts")["sequence"].sort().to_list() == written
