"""Two runners at one table, and what a killed one leaves: one wins, the other is told, no reader sees a difference."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from data_jobs.batches import Batch, Overtaken, refine
from data_jobs.catalogue import TABLES, find_table
from data_jobs.changes import find_changes
from data_jobs.commits import cursor_of
from data_jobs.declaration import Table
from data_jobs.plans import Outcome, Plan
from data_jobs.upkeep.maintained import find_kept
from data_jobs.upkeep.vacuum import Limits, vacuum
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here, rows_of, run_here
from tests.fixtures.retail import MILK, make_receipt

SILVER, LINES, DAYS = (find_table(name) for name in ("silver.receipts", "silver.receipt_lines", "gold.store_days"))
PROFILES = find_table("gold.customer_profiles")
LATER = RECEIVED_AT + timedelta(hours=1)
NOW = Limits(history=timedelta(0), longest_batch=timedelta(0), fewest_commits=1)


class Killed(Exception):
    """Stands for the end of a process."""


def _refine(lake: Lake, *tables: Table) -> None:
    for table in tables:
        while refine(lake, table, run_here, 2) is not None:
            pass


def _overtaken(lake: Lake, table: Table, meanwhile: Callable[[], object]) -> Batch | None:
    """Refine a batch while, between its work and its commit, something else happens."""

    def run(plan: Plan) -> Outcome:
        done = run_here(plan)
        meanwhile()
        return done

    return refine(lake, table, run, 2)


def _killed_before_its_commit(lake: Lake, table: Table) -> None:
    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        _overtaken(lake, table, die)


def _ground(lake: Lake, *, corrected: bool) -> None:
    """Refine two receipts up to Gold, and land a third; `corrected` with a new version of the first."""
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=n) for n in (1, 2)])
    refine_here(lake)
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=3)], LATER)
    if corrected:
        land(lake, bronze.RECEIPTS, [make_receipt(lines=[MILK])], LATER)


def _figures(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of every refined table but for the event log's, which tells of times."""
    held = [table for table in TABLES if not table.name.startswith("events.") and lake.exists(table.name)]
    return {table.name: sorted(rows_of(lake, table.name).rows(), key=repr) for table in held}


@pytest.mark.parametrize("table", [SILVER, LINES, PROFILES, DAYS], ids=lambda table: table.name)
@pytest.mark.parametrize("corrected", [False, True], ids=["files are added", "rows are merged"])
def test_of_two_runners_of_one_batch_one_wins_and_the_other_is_refused(
    lake_with_stores: Lake, table: Table, corrected: bool
) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=corrected)
    if table is not SILVER:
        _refine(lake, SILVER)
    with pytest.raises(Overtaken, match=f"Another process changed .* It was {table.name}"):
        _overtaken(lake, table, lambda: refine(lake, table, run_here, 2))
    assert cursor_of(lake.open(table.name), table.cursor) == lake.open(table.source.name).version()
    refine_here(lake)
    paid = 349 + 1048 * 2 if corrected else 1048 * 3
    assert rows_of(lake, SILVER.name)["total_cents"].sum() == paid
    assert rows_of(lake, LINES.name)["amount_cents"].sum() == paid
    assert rows_of(lake, PROFILES.name)["lifetime_spend_cents"].sum() == paid
    assert rows_of(lake, DAYS.name)["sales_cents"].sum() == paid
    assert refine_here(lake) == []


def test_a_runner_that_is_overtaken_by_a_longer_batch_is_refused_too(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=True)

    def longer() -> None:
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=4)], LATER)
        refine_here(lake)

    with pytest.raises(Overtaken):
        _overtaken(lake, SILVER, longer)
    before = _figures(lake)
    assert refine_here(lake) == []
    assert _figures(lake) == before
    assert sorted(rows_of(lake, SILVER.name)["sequence_number"]) == [1, 2, 3, 4]


def test_a_rival_that_wins_the_quarantine_first_refuses_the_other_before_its_rows_serve(
    lake_with_stores: Lake,
) -> None:
    lake = lake_with_stores
    land(lake, bronze.RECEIPTS, [make_receipt()])
    land_payloads(lake, bronze.RECEIPTS, [(None, "no JSON")])
    _refine(lake, find_table("silver.stores"))
    with pytest.raises(Overtaken):
        _overtaken(lake, SILVER, lambda: refine(lake, SILVER, run_here, 2))
    refine_here(lake)
    assert rows_of(lake, "silver.quarantine").height == 1
    assert rows_of(lake, SILVER.name).height == 1


def test_two_runners_in_turn_do_no_work_twice(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=True)
    assert refine(lake, SILVER, run_here, 2) is not None
    assert refine(lake, SILVER, run_here, 2) is None


def test_compaction_between_work_and_commit_does_not_refuse_files_that_are_added(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=False)
    batch = _overtaken(lake, SILVER, lake.open(SILVER.name).optimize.compact)
    assert batch is not None
    assert batch.error is None
    assert rows_of(lake, SILVER.name).height == 3


@pytest.mark.parametrize("table", [SILVER, LINES, DAYS], ids=lambda table: table.name)
def test_a_batch_that_changes_nothing_moves_the_cursor_and_tells_nobody(lake_with_stores: Lake, table: Table) -> None:
    lake = lake_with_stores
    land(lake, bronze.RECEIPTS, [make_receipt(lines=[MILK])], LATER)
    refine_here(lake)
    if table is SILVER:  # an older version comes late: Silver has a newer one
        land(lake, bronze.RECEIPTS, [make_receipt()])
    else:  # a row comes and goes before anybody has read it
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=2)], LATER)
        _refine(lake, SILVER)
        lake.open(SILVER.name).delete("sequence_number = 2")
    before, version = rows_of(lake, table.name), lake.open(table.name).version()
    assert refine(lake, table, run_here, 2) is not None
    handle = lake.open(table.name)
    assert cursor_of(handle, table.cursor) == lake.open(table.source.name).version()
    assert handle.version() == version + 1
    assert find_changes(lake, table.name, version, handle.version(), 1).files == ()
    assert rows_of(lake, table.name).equals(before)
    assert refine(lake, table, run_here, 2) is None


def _files(lake: Lake, table: Table) -> set[Path]:
    root = Path(lake.uri(table.name))
    return {path for path in root.rglob("*.parquet") if not {"_delta_log", "_change_data"} & set(path.parts)}


def _named(handle: DeltaTable) -> set[str]:
    return {Path(uri).name for uri in handle.file_uris()}


@pytest.mark.parametrize("table", [SILVER, LINES, PROFILES, DAYS], ids=lambda table: table.name)
def test_what_a_killed_batch_wrote_is_seen_by_nobody_and_goes_with_the_vacuum(
    lake_with_stores: Lake, table: Table
) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=True)
    if table is not SILVER:
        _refine(lake, SILVER)
    before, files, version = _figures(lake), _files(lake, table), lake.open(table.name).version()
    _killed_before_its_commit(lake, table)
    orphans = _files(lake, table) - files
    assert orphans, "the batch was killed before it wrote anything"
    assert _figures(lake) == before
    assert lake.open(table.name).version() == version
    assert not {path.name for path in orphans} & _named(lake.open(table.name))
    expected = _after_an_undisturbed_batch(lake)
    list(vacuum(lake, {}, NOW, [find_kept(table.name)]))
    assert not orphans & _files(lake, table)
    assert {path.name for path in _files(lake, table)} >= _named(lake.open(table.name))
    assert _figures(lake) == expected
    assert refine_here(lake) == []


def _after_an_undisturbed_batch(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Go on after a kill and return all rows."""
    refine_here(lake)
    paid = pl.col("total_cents").sum()
    assert rows_of(lake, SILVER.name).select(paid).item() == 349 + 1048 * 2
    assert rows_of(lake, PROFILES.name)["lifetime_spend_cents"].sum() == 349 + 1048 * 2
    return _figures(lake)


@pytest.mark.parametrize("table", [SILVER, LINES, PROFILES, DAYS], ids=lambda table: table.name)
def test_a_runner_that_is_refused_leaves_nothing_that_a_vacuum_does_not_take(
    lake_with_stores: Lake, table: Table
) -> None:
    lake = lake_with_stores
    _ground(lake, corrected=True)
    if table is not SILVER:
        _refine(lake, SILVER)
    with pytest.raises(Overtaken):
        _overtaken(lake, table, lambda: refine(lake, table, run_here, 2))
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=4)], LATER)  # what came last may belong to a batch
    refine_here(lake)
    before = _figures(lake)
    list(vacuum(lake, {}, NOW, [find_kept(table.name)]))
    assert {path.name for path in _files(lake, table)} == _named(lake.open(table.name))
    assert _figures(lake) == before
