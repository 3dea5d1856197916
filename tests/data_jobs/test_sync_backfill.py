"""A table that Postgres has never had arrives in pieces, and nothing that is there meanwhile suffers."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from threading import Event, Semaphore
from typing import Any

import psycopg
import pytest

from configs.settings import Settings
from data_jobs.catalogue import find_table
from data_jobs.sync import Synced, sync
from data_jobs.sync_marks import SyncOvertaken
from data_jobs.sync_verification import compare
from data_jobs.sync_writing import write
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.models import Receipt
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.environment import environment_of
from tests.fixtures.processes import started
from tests.fixtures.retail import MILK, make_customer, make_receipt, make_store, store_rows

RECEIPTS, PRODUCTS = find_table("silver.receipts"), find_table("silver.products")
SMALL = 10_000  # bytes of a piece: some ten receipts
COUNT = 60


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the pipeline's own role."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        yield connection


def receipts(first: int = 1, count: int = COUNT) -> list[Receipt]:
    return [
        make_receipt(sequence_number=number, customer_id=f"C{number:07d}") for number in range(first, first + count)
    ]


@pytest.fixture
def filled(lake_with_stores: Lake) -> Lake:
    """A lake with receipts in three files."""
    for first in (1, 1 + COUNT // 3, 1 + 2 * COUNT // 3):
        land(lake_with_stores, bronze.RECEIPTS, receipts(first, COUNT // 3))
        refine_here(lake_with_stores)
    return lake_with_stores


def one(owner: psycopg.Connection[Any], query: str) -> Any:
    row = owner.execute(query).fetchone()
    assert row is not None
    return row[0]


def open_scope(owner: psycopg.Connection[Any], settings: Settings, name: str, region: int) -> str:
    """Return the scope of a new representative of one region."""
    owner.execute(
        "INSERT INTO access.principals (principal_id, role, display_name, region_ids) VALUES (%s, 'cs_rep', %s, %s)",
        [name, name, [region]],
    )
    with connect(settings, DatabaseRole.AUTH) as connection:
        row = connection.execute("SELECT scope_id FROM access.open_scope(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def in_small_pieces(lake: Lake, connection: psycopg.Connection[Any]) -> Iterator[Synced]:
    return sync(lake, connection, [RECEIPTS], SMALL)


def test_the_watermark_comes_with_the_last_piece_and_not_before(
    filled: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    steps = in_small_pieces(filled, pipeline)
    first = next(steps)
    assert not first.finished
    assert "on its way" in str(first)
    assert one(owner, "SELECT count(*) FROM retail.receipts") == first.written > 0
    assert one(owner, "SELECT count(*) FROM sync.watermarks") == 0
    rest = list(steps)
    assert [step.finished for step in rest] == [False] * (len(rest) - 1) + [True]
    assert len(rest) > 3
    assert first.written + sum(step.written for step in rest) == COUNT
    assert one(owner, "SELECT version FROM sync.watermarks") == filled.open("silver.receipts").version()
    assert one(owner, "SELECT count(*) FROM sync.backfills") == 0
    assert compare(filled, pipeline, RECEIPTS).equal


def test_a_back_fill_goes_on_where_it_stood_and_the_feed_takes_over(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    with connect(settings, DatabaseRole.PIPELINE) as dying:
        done = sum(step.written for step in islice(in_small_pieces(filled, dying), 3))
    land(filled, bronze.RECEIPTS, [make_receipt(lines=[MILK])], RECEIVED_AT + timedelta(hours=1))
    refine_here(filled)
    steps = list(in_small_pieces(filled, pipeline))
    first_version = [step for step in steps if step.version == steps[0].version]
    assert sum(step.written for step in first_version) == COUNT - done
    assert (steps[-1].written, steps[-1].finished) == (1, True)
    assert compare(filled, pipeline, RECEIPTS).equal


def test_killed_again_and_again_a_back_fill_brings_every_receipt_once(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    script = (
        "import sys; from configs.settings import load_settings; from data_jobs.sync import sync;"
        "from receipts.database import *; from receipts.lake import Lake;"
        f"steps = sync(Lake(sys.argv[1]), connect(load_settings(), DatabaseRole.PIPELINE), piece_bytes={SMALL});"
        "[print(step, flush=True) for step in steps]"
    )
    command = [sys.executable, "-c", script, filled.root]
    for steps in (1, 2, 4):
        with started(command, env=environment_of(settings), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert len(list(islice(process.stdout, steps))) == steps
            process.kill()
    assert one(owner, "SELECT count(*) FROM retail.receipts") >= 3
    list(sync(filled, pipeline))
    assert one(owner, "SELECT count(*) FROM retail.receipts") == COUNT
    assert compare(filled, pipeline, RECEIPTS).equal


def test_what_a_gateway_wrote_later_is_not_overwritten_by_what_silver_had_before(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    later = make_receipt(sequence_number=5, customer_id="C0000005", lines=[MILK])
    store_rows(settings, stores=[make_store()], receipts=[later])
    list(in_small_pieces(filled, pipeline))
    row = f"FROM retail.receipts WHERE receipt_id = '{later.receipt_id}'"
    assert one(owner, f"SELECT document {row}") == later.canonical()
    found = compare(filled, pipeline, RECEIPTS)
    assert (found.equal, found.waiting, found.lake_rows, found.postgres_rows) == (True, 1, COUNT, COUNT - 1)
    owner.execute(f"UPDATE retail.receipts SET received_at = '2020-01-01' WHERE receipt_id = '{later.receipt_id}'")
    owner.execute("TRUNCATE sync.watermarks")
    list(in_small_pieces(filled, pipeline))
    assert one(owner, f"SELECT document {row}") != later.canonical()


def test_readers_and_gateways_go_on_while_a_piece_is_being_written(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    next(in_small_pieces(filled, pipeline))
    before = one(owner, "SELECT count(*) FROM retail.receipts")
    with pipeline.transaction():
        assert write(pipeline, RECEIPTS, rows_of(filled, "silver.receipts")).written == COUNT - before
        locks = pipeline.execute("SELECT DISTINCT mode FROM pg_locks WHERE relation = 'retail.receipts'::regclass")
        assert {row[0] for row in locks} <= {"AccessShareLock", "RowShareLock", "RowExclusiveLock"}
        assert one(owner, "SELECT count(*) FROM retail.receipts") == before
        store_rows(settings, stores=[make_store()], receipts=[make_receipt(sequence_number=900)])


def test_lookups_are_answered_while_pieces_are_being_written(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    rows, scope = rows_of(filled, "silver.receipts"), open_scope(owner, settings, "east", 1)
    first, asked, seen, done = rows["receipt_id"].min(), Semaphore(0), Counter[int](), Event()

    def look() -> None:
        with connect(settings, DatabaseRole.API) as reader:
            # A back-fill holds nothing that a lookup waits for; a machine under tests may take its time.
            reader.execute("SET lock_timeout = '1ms'; SET statement_timeout = '10s'")
            while not done.is_set():
                with reader.transaction():
                    reader.execute("SELECT set_config('app.scope', %s, true)", [scope])
                    query = "SELECT FROM retail.receipts WHERE receipt_id = %s OR customer_id = 'C0000001'"
                    seen[reader.execute(query, [first]).rowcount] += 1
                asked.release()

    def await_lookups() -> None:
        for _ in range(3):  # the first may have begun before the piece
            assert asked.acquire(timeout=60), f"no lookup came back: {seen}"

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        try:
            for _ in in_small_pieces(filled, pipeline):
                await_lookups()
            owner.execute("DELETE FROM retail.receipts")
            before = seen[0]
            with pipeline.transaction():  # and while the transaction of a piece is open
                write(pipeline, RECEIPTS, rows)
                await_lookups()
        finally:
            done.set()
        looking.result()
    assert seen[1] > 0
    assert seen[0] > before


def test_a_back_fill_after_a_gateway_confirms_and_writes_what_is_missing(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    store_rows(settings, stores=[make_store()], receipts=receipts(count=COUNT - 5))
    steps = list(in_small_pieces(filled, pipeline))
    assert (sum(step.confirmed for step in steps), sum(step.written for step in steps)) == (COUNT - 5, 5)
    assert one(owner, "SELECT count(*) FROM retail.receipts WHERE refined_at IS NULL") == 0
    assert compare(filled, pipeline, RECEIPTS).equal


def test_rows_that_the_lake_lost_unseen_go_when_the_table_is_read_anew(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    list(sync(filled, pipeline))
    waiting = make_receipt(sequence_number=901, customer_id=None)
    store_rows(settings, stores=[make_store()], receipts=[waiting])
    filled.open("silver.receipts").delete("customer_id = 'C0000007'")
    filled.open("gold.spending_insights").delete("customer_id in ('C0000007', 'C0000008')")
    owner.execute("TRUNCATE sync.watermarks")
    done = list(sync(filled, pipeline))
    assert sum(step.deleted for step in done if step.table == "silver.receipts") == 1
    assert one(owner, "SELECT count(*) FROM retail.receipts WHERE customer_id = 'C0000007'") == 0
    assert one(owner, "SELECT count(*) FROM retail.receipts") == COUNT  # with the one that waits for Silver
    assert one(owner, "SELECT count(DISTINCT customer_id) FROM retail.spending_insights") == COUNT - 2


def test_a_back_fill_of_files_that_are_gone_begins_anew(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    with connect(settings, DatabaseRole.PIPELINE) as dying:
        next(in_small_pieces(filled, dying))
    table = filled.open("silver.receipts")
    table.optimize.compact()
    filled.open("silver.receipts").vacuum(0, dry_run=False, enforce_retention_duration=False)
    list(in_small_pieces(filled, pipeline))
    assert compare(filled, pipeline, RECEIPTS).equal


def test_two_back_fills_at_once_do_not_both_count(
    filled: Lake, settings: Settings, pipeline: psycopg.Connection[Any]
) -> None:
    steps = in_small_pieces(filled, pipeline)
    next(steps)
    with connect(settings, DatabaseRole.PIPELINE) as rival:
        next(in_small_pieces(filled, rival))
        with pytest.raises(SyncOvertaken):
            list(steps)


def test_a_text_with_quotes_and_backslashes_arrives_as_it_was(
    lake_with_stores: Lake, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    odd = 'A\\tB \\N "C" \\. E\\'
    line = {**MILK, "description": odd, "category": "\\N"}
    receipt = make_receipt(lines=[line])
    land(lake_with_stores, bronze.RECEIPTS, [receipt])
    refine_here(lake_with_stores)
    list(sync(lake_with_stores, pipeline))
    assert one(owner, "SELECT document FROM retail.receipts") == receipt.canonical()
    assert one(owner, "SELECT category FROM retail.spending_insights") == "\\N"
    assert compare(lake_with_stores, pipeline, PRODUCTS).equal


def test_spending_is_seen_where_the_customer_is_seen_and_by_nobody_without_a_scope(
    filled: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    land(filled, bronze.RECEIPTS, [make_receipt(sequence_number=77, store_id=368, customer_id="C0000077")])
    refine_here(filled)
    list(sync(filled, pipeline))
    scope = open_scope(owner, settings, "west", 2)
    with connect(settings, DatabaseRole.API) as connection:
        query = "SELECT DISTINCT customer_id FROM retail.spending_insights"
        assert connection.execute(query).fetchall() == []
        connection.execute("SELECT set_config('app.scope', %s, true)", [scope])
        assert connection.execute(query).fetchall() == [("C0000077",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM retail.spending_insights")


def test_the_command_tells_what_differs_and_ends_with_one(
    settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    lake = lake_of(settings)
    land(lake, bronze.STORES, [make_store()])
    land(lake, bronze.RECEIPTS, receipts(count=3))
    refine_here(lake)
    list(sync(lake, pipeline))
    command = [sys.executable, "-m", "cluster.commands", "sync", "--verify", "--json"]
    environment = environment_of(settings)
    same = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (same.returncode, same.stderr) == (0, "")
    ids = [row[0] for row in owner.execute("SELECT receipt_id FROM retail.receipts ORDER BY receipt_id")]
    owner.execute("DELETE FROM retail.receipts WHERE receipt_id = %s", [ids[0]])
    owner.execute("UPDATE retail.receipts SET region_id = 9 WHERE receipt_id = %s", [ids[1]])
    off = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert off.returncode == 1
    assert off.stderr.splitlines() == [f"receipt_id {ids[0]}: missing", f"receipt_id {ids[1]}: different"]
