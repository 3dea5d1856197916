"""A lake in an object store does what a lake in a folder does, on a real S3 server."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from configs.settings import Settings
from data_jobs.accounts import Accounts, reconcile
from data_jobs.batches import Overtaken, refine
from data_jobs.catalogue import TABLES, find_table
from data_jobs.parts import remove_parts, write_part
from data_jobs.plans import Outcome, Plan
from data_jobs.refinement import Refinery, refine_round
from data_jobs.sync import SERVED, sync
from data_jobs.sync_verification import compare
from data_jobs.upkeep.compaction import compact
from data_jobs.upkeep.maintained import find_kept
from data_jobs.upkeep.retention import GRACE_DAYS, retain
from data_jobs.upkeep.vacuum import Limits, vacuum
from data_jobs.upkeep.versions import list_files_under, list_history, list_log, open_as_of, read_rows
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here, rows_of, run_here
from tests.fixtures.object_store import ObjectStore
from tests.fixtures.retail import CHICKEN, MILK, make_receipt, make_store

LATER = RECEIVED_AT + timedelta(hours=1)
NOW = Limits(history=timedelta(0), longest_batch=timedelta(0), fewest_commits=1)
FIRST = date(2026, 11, 1)
BRONZE = find_kept("bronze.receipts")
STORES, SILVER, LINES = (find_table(name) for name in ("silver.stores", "silver.receipts", "silver.receipt_lines"))


@pytest.fixture
def remote(object_store: ObjectStore) -> Lake:
    """An empty lake in the object store."""
    return object_store.make_lake()


def _refine(lake: Lake, *names: str) -> None:
    for name in names:
        while refine(lake, find_table(name), run_here, 2) is not None:
            pass


def _land_sales(lake: Lake) -> None:
    land(lake, bronze.STORES, [make_store()])
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number) for number in (1, 2)])


def _land_trouble(lake: Lake) -> None:
    """A correction that moves a receipt to another customer, a return, and what has to be refused."""
    corrected = make_receipt(customer_id="C0000002", lines=[MILK])
    refund = {**CHICKEN, "line_number": 1, "quantity": -1.0, "amount_cents": -699, "discount_cents": 0}
    returned = make_receipt(sequence_number=3, receipt_type="return", lines=[refund])
    land(lake, bronze.RECEIPTS, [corrected, returned, make_receipt(store_id=999)], LATER)
    land_payloads(lake, bronze.RECEIPTS, [(None, "no JSON")], LATER)


def _paths(lake: Lake, name: str) -> set[str]:
    return {file.path for file in list_files_under(lake, name)}


def _rows(lake: Lake, name: str) -> list[dict[str, Any]]:
    """Return all rows of a table in the order of its key, without the numbers that landing counts up."""
    rows = rows_of(lake, name).sort(find_table(name).key)
    return rows.drop([column for column in rows.columns if column == "sequence"]).to_dicts()


def test_what_is_refined_and_synced_from_an_object_store_is_what_comes_of_a_folder(
    remote: Lake, lake: Lake, settings: Settings
) -> None:
    with connect(settings, DatabaseRole.PIPELINE) as pipeline:
        pipeline.autocommit = True
        for step in (_land_sales, _land_trouble):  # the first is back-filled, the second follows the change feed
            for each in (remote, lake):
                step(each)
                assert all(batch.error is None for batch in refine_round(Refinery(each, run_here, parallelism=2)))
            assert {done.table for done in sync(remote, pipeline)} >= {"silver.receipts", "gold.customer_profiles"}
        assert [each.table for each in _compared(remote, pipeline) if not each.equal] == []
    assert reconcile(remote) == reconcile(lake) == Accounts(6, 3, 1, 2, 0, 0)
    made = [table.name for table in TABLES if lake.exists(table.name) and not table.name.startswith("events.")]
    assert len(made) >= 10
    assert [name for name in made if _rows(remote, name) != _rows(lake, name)] == []
    assert refine_here(remote) == []


def _compared(lake: Lake, pipeline: psycopg.Connection[Any]) -> Iterable[Any]:
    return [compare(lake, pipeline, table) for table in SERVED if lake.exists(table.name)]


def test_of_two_runners_in_an_object_store_the_later_is_refused(remote: Lake) -> None:
    land(remote, bronze.STORES, [make_store()])

    def overtaken(plan: Plan) -> Outcome:
        done = run_here(plan)
        _refine(remote, STORES.name)
        return done

    with pytest.raises(Overtaken, match=STORES.name):
        refine(remote, STORES, overtaken, 1)
    assert rows_of(remote, STORES.name).height == 1


def test_what_is_not_in_an_object_store_is_missing_and_no_failure(remote: Lake) -> None:
    assert not remote.exists(STORES.name)
    assert remote.read_commit(STORES.name, 0) is None
    remote.ensure(STORES.lake_table)
    assert remote.read_commit(STORES.name, 0) is not None
    assert remote.read_commit(STORES.name, 1) is None
    assert list_files_under(remote, "silver.nothing") == []


def test_parts_that_were_merged_are_gone_from_an_object_store(remote: Lake) -> None:
    land(remote, bronze.STORES, [make_store()])
    _refine(remote, STORES.name)
    before = _paths(remote, STORES.name)
    part = write_part(remote, STORES, rows_of(remote, STORES.name))
    assert part.size_bytes > 0
    remove_parts(remote, STORES, [part])
    remove_parts(remote, STORES, [part])  # as after a kill in between
    assert _paths(remote, STORES.name) == before


def test_upkeep_of_an_object_store_loses_nothing_that_is_kept(remote: Lake) -> None:
    assert SILVER.retention is not None
    land(remote, bronze.STORES, [make_store()])
    for day in range(6):
        _land_day(remote, day)
    _refine(remote, STORES.name, SILVER.name)
    (done,) = compact(remote, [BRONZE], thorough=True)
    assert (done.files_before, done.files_after) == (6, 1)
    _land_day(remote, 6)
    _refine(remote, SILVER.name, LINES.name)
    assert rows_of(remote, SILVER.name).height == 7
    version = remote.open(SILVER.name).version()

    today = FIRST + timedelta(days=SILVER.retention.days + GRACE_DAYS + 3)  # three days have expired
    (expired,) = retain(remote, today, [SILVER])
    assert expired.rows == 3
    _refine(remote, LINES.name)
    assert rows_of(remote, LINES.name)["receipt_id"].n_unique() == 4
    assert open_as_of(remote, SILVER.name, str(version)).to_pyarrow_table().num_rows == 7
    assert [each["what"] for each in list_history(remote, SILVER.name, 2)] == ["retention", "batch"]

    gone = {each.table: each for each in vacuum(remote, {}, NOW, [BRONZE, SILVER])}
    assert gone[BRONZE.name].files == 6
    assert gone[SILVER.name].files >= 2  # the files before the merge, and its change data
    assert list_log(remote, SILVER.name).oldest == remote.open(SILVER.name).version()
    assert len(read_rows(remote, SILVER.name, remote.open(SILVER.name), 10)) == 4
    assert rows_of(remote, BRONZE.name).height == 7
    _land_day(remote, 7)
    _refine(remote, SILVER.name, LINES.name)
    assert rows_of(remote, LINES.name)["receipt_id"].n_unique() == 5


def _land_day(lake: Lake, day: int) -> None:
    """Land the one receipt of a business date."""
    on = FIRST + timedelta(days=day)
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=day + 1, business_date=on)])
