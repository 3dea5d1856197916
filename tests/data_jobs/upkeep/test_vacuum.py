"""What no reader can want goes; what any reader may still ask for stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_jobs.batches import refine
from data_jobs.catalogue import find_table
from data_jobs.changes import find_changes, read_changes
from data_jobs.upkeep.compaction import compact_next
from data_jobs.upkeep.maintained import find_kept
from data_jobs.upkeep.vacuum import Limits, Vacuumed, find_floor, vacuum
from data_jobs.upkeep.versions import keep_version, kept_versions, list_log, open_as_of
from receipts import bronze
from receipts.errors import InvalidInput, NotFound
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, rows_of, run_here
from tests.fixtures.retail import make_receipt

NOW = Limits(history=timedelta(0), longest_batch=timedelta(0), fewest_commits=1)
# What was written just before a commit may bear its instant: the clock of files ticks every few milliseconds.
AT_REST = Limits(history=timedelta(0), longest_batch=-timedelta(seconds=1), fewest_commits=1)
SILVER, LINES = find_table("silver.receipts"), find_table("silver.receipt_lines")
GROUND = (find_table("silver.stores"), SILVER)


def _refine(lake: Lake, *tables: str) -> None:
    for table in (*GROUND, *(find_table(name) for name in tables)):
        while refine(lake, table, run_here, 2) is not None:
            pass


def _correct(lake: Lake, times: int) -> None:
    """Correct one receipt again and again: every time a merge with change data and a file that goes."""
    for time in range(times):
        receipt = make_receipt(customer_id=f"C{time:07d}")
        land(lake, bronze.RECEIPTS, [receipt], RECEIVED_AT + timedelta(minutes=time))
        _refine(lake)


def _files(lake: Lake, name: str) -> set[str]:
    root = Path(lake.uri(name))
    return {path.relative_to(root).as_posix() for path in root.rglob("*.parquet") if "_delta_log" not in path.parts}


def _vacuum(lake: Lake, name: str, readers: dict[str, int] | None = None, limits: Limits = NOW) -> Vacuumed:
    (done,) = vacuum(lake, readers or {}, limits, [find_kept(name)])
    return done


def test_removed_files_change_data_and_the_log_go_once_nobody_needs_them(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 6)
    before = rows_of(lake, SILVER.name)
    assert any(path.startswith("_change_data/") for path in _files(lake, SILVER.name))
    done = _vacuum(lake, SILVER.name, limits=AT_REST)
    head = lake.open(SILVER.name).version()
    assert (done.floor, done.commits) == (head, head)
    assert not any(path.startswith("_change_data/") for path in _files(lake, SILVER.name))
    assert len(_files(lake, SILVER.name)) == 1
    assert rows_of(lake, SILVER.name).equals(before)
    _correct(lake, 8)
    assert rows_of(lake, SILVER.name)["customer_id"].to_list() == ["C0000007"]


@pytest.mark.parametrize("reader", ["a table", "the sync"])
def test_nothing_goes_that_a_reader_has_not_read_yet(lake_with_stores: Lake, reader: str) -> None:
    lake = lake_with_stores
    _correct(lake, 3)
    if reader == "a table":
        _refine(lake, LINES.name)
    stopped = lake.open(SILVER.name).version()
    _correct(lake, 9)
    compact_next(lake, SILVER, thorough=True)
    head = lake.open(SILVER.name).version()
    unread = find_changes(lake, SILVER.name, stopped, head, 10**9)
    expected = read_changes(unread.files, {})
    done = _vacuum(lake, SILVER.name, {} if reader == "a table" else {SILVER.name: stopped})
    assert done.floor == stopped
    assert read_changes(unread.files, {}).equals(expected)
    _refine(lake, LINES.name)
    assert set(rows_of(lake, LINES.name)["customer_id"]) == {"C0000008"}


def test_a_table_that_is_added_later_starts_from_what_is_there(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 6)
    _vacuum(lake, SILVER.name)
    assert not lake.exists(LINES.name)
    _refine(lake, LINES.name)
    assert set(rows_of(lake, LINES.name)["customer_id"]) == {"C0000005"}


def test_files_of_a_killed_batch_go_and_those_of_a_running_one_stay(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 2)
    orphan = Path(lake.uri(SILVER.name), "part-of-a-killed-batch.zstd.parquet")
    pl.DataFrame({"receipt_id": ["1"]}).write_parquet(orphan)
    _vacuum(lake, SILVER.name, limits=Limits())
    assert orphan.exists()
    _correct(lake, 3)
    rehearsed = list(vacuum(lake, {}, NOW, [SILVER], rehearse=True))
    assert orphan.exists()
    done = _vacuum(lake, SILVER.name)
    assert not orphan.exists()
    assert rehearsed[0].files >= 1
    assert done.files >= rehearsed[0].files


def test_a_version_kept_for_an_audit_can_be_read_however_old_it_is(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 4)
    kept = 2
    expected = rows_of(lake, SILVER.name, kept)
    assert keep_version(lake, SILVER.name, kept) == {kept}
    _correct(lake, 9)
    for _ in range(2):
        _vacuum(lake, SILVER.name)
        assert rows_of(lake, SILVER.name, kept).equals(expected)
        _correct(lake, 12)
    with pytest.raises(NotFound, match="cannot be read as of 3: versions"):
        open_as_of(lake, SILVER.name, "3")
    assert keep_version(lake, SILVER.name, kept, keep=False) == frozenset()
    assert kept_versions(lake.open(SILVER.name)) == frozenset()
    _vacuum(lake, SILVER.name)
    with pytest.raises(NotFound):
        open_as_of(lake, SILVER.name, str(kept))


def test_young_history_stays(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 4)
    before = _files(lake, SILVER.name)
    done = _vacuum(lake, SILVER.name, limits=Limits(fewest_commits=1))
    assert (done.floor, done.commits, done.files) == (0, 0, 0)
    assert _files(lake, SILVER.name) == before
    assert find_floor(lake, SILVER.name, {}, Limits()) == 0


def test_a_table_is_read_as_of_a_version_or_an_instant(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _correct(lake, 1)
    version = lake.open(SILVER.name).version()
    between = datetime.now(UTC)
    _correct(lake, 3)
    for as_of in (str(version), between.isoformat(), between.replace(tzinfo=None).isoformat()):
        handle = open_as_of(lake, SILVER.name, as_of)
        assert handle.version() == version, as_of
    assert open_as_of(lake, SILVER.name).version() == max(list_log(lake, SILVER.name).commits)
    with pytest.raises(InvalidInput, match="neither a version nor an instant"):
        open_as_of(lake, SILVER.name, "yesterday")
    with pytest.raises(NotFound, match="as of 2001-01-01"):
        open_as_of(lake, SILVER.name, "2001-01-01")
    with pytest.raises(NotFound, match="not been created"):
        open_as_of(lake, "gold.store_days")
