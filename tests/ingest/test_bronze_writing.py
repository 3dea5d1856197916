"""Writers of Bronze exclude each other, and what they committed can be told from what maintenance did."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import Transaction

from ingest.bronze_writing import (
    DIRECT,
    NEVER,
    WRITER,
    BronzeUnavailable,
    Overtaken,
    commit_rows,
    commits_between,
    open_for_append,
)
from receipts.bronze import RECEIPTS
from receipts.lake import Lake
from tests.fixtures.object_store import ObjectStore
from tests.fixtures.ports import free_ports

_AT = datetime(2026, 11, 17, 12, 30, 1, 250, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def _row(number: int) -> tuple:
    return (f"r{number}", 367, number, _AT, "test", "00" * 32, '{"text": "Zoë"}', None)


def _append(lake: Lake, *numbers: int, transactions: tuple[Transaction, ...] = ()) -> int:
    return commit_rows(open_for_append(lake, RECEIPTS), [_row(n) for n in numbers], transactions)


def _keys(lake: Lake) -> list[str]:
    return sorted(lake.open(RECEIPTS.name).to_pyarrow_table().column("record_key").to_pylist())


def _added(lake: Lake, after: int, upto: int) -> dict[int, list[str]]:
    commits = list(commits_between(lake, RECEIPTS.name, after, upto))
    return {c.version: [key for batch in c.read() for key in batch.column("record_key").to_pylist()] for c in commits}


def test_rows_are_read_as_they_were_written(lake: Lake):
    assert _append(lake, 7, transactions=(Transaction(DIRECT, 1),)) == 1
    head = open_for_append(lake, RECEIPTS)
    assert (head.version, head.transaction(WRITER), head.transaction(DIRECT)) == (1, 1, 1)
    assert head.transaction("outbox:1") == NEVER
    assert [tuple(row.values()) for row in head.handle.to_pyarrow_table().to_pylist()] == [_row(7)]


def test_the_log_holds_ranges_of_the_listed_columns_only(lake: Lake):
    version = _append(lake, 3, 9)
    (add,) = [action["add"] for action in lake.read_commit(RECEIPTS.name, version) or () if "add" in action]
    assert json.loads(add["stats"]) == {
        "numRecords": 2,
        "minValues": {"store_id": 367, "sequence": 3, "received_at": "2026-11-17T12:30:01.000250Z"},
        "maxValues": {"store_id": 367, "sequence": 9, "received_at": "2026-11-17T12:30:01.000250Z"},
        "nullCount": {"store_id": 0, "sequence": 0, "received_at": 0},
    }
    found = lake.open(RECEIPTS.name).to_pyarrow_table(filters=[("received_at", ">=", _AT)])
    assert found.num_rows == 2


def test_of_two_writers_that_looked_at_the_same_version_one_is_overtaken(lake: Lake):
    first, second = open_for_append(lake, RECEIPTS), open_for_append(lake, RECEIPTS)
    commit_rows(first, [_row(1)], [Transaction(DIRECT, 1)])
    with pytest.raises(Overtaken):
        commit_rows(second, [_row(2)], [Transaction("outbox:1", 1)])
    assert _keys(lake) == ["r1"]
    files = list(Path(lake.uri(RECEIPTS.name)).glob("*.parquet"))
    assert len(files) == 1  # the loser's is gone


def test_a_writer_is_overtaken_also_by_one_that_committed_long_ago(lake: Lake):
    old = open_for_append(lake, RECEIPTS)
    for number in range(1, 121):  # beyond two checkpoints
        _append(lake, number)
    with pytest.raises(Overtaken):
        commit_rows(old, [_row(0)], [])


def test_compaction_overtakes_nobody_and_adds_no_rows(lake: Lake):
    for number in (1, 2, 3):
        _append(lake, number)
    head = open_for_append(lake, RECEIPTS)
    lake.open(RECEIPTS.name).optimize.compact()
    assert commit_rows(head, [_row(4)], []) == 5
    assert _keys(lake) == ["r1", "r2", "r3", "r4"]
    assert _added(lake, 0, 5) == {1: ["r1"], 2: ["r2"], 3: ["r3"], 4: [], 5: ["r4"]}
    assert _added(lake, 4, 5) == {5: ["r4"]}


def test_commits_tell_who_made_them(lake: Lake):
    _append(lake, 1, transactions=(Transaction(DIRECT, 1),))
    _append(lake, 2, transactions=(Transaction("outbox:7", 41),))
    told = [commit.applications for commit in commits_between(lake, RECEIPTS.name, 0, 2)]
    assert told == [{WRITER, DIRECT}, {WRITER, "outbox:7"}]


def test_where_the_log_is_cleaned_up_the_whole_table_comes_as_one_commit(lake: Lake):
    for number in range(1, 52):
        _append(lake, number)
    for version in range(20):
        (Path(lake.uri(RECEIPTS.name)) / f"_delta_log/{version:020d}.json").unlink()
    (whole,) = list(commits_between(lake, RECEIPTS.name, 3, 51))
    assert (whole.version, whole.applications) == (51, frozenset())
    assert len([1 for batch in whole.read(["record_key"]) for _ in batch.column(0)]) == 51
    assert _added(lake, 49, 51) == {50: ["r50"], 51: ["r51"]}


def test_a_lake_that_cannot_be_written_is_told_apart_from_a_lost_race(lake: Lake, tmp_path: Path):
    head = open_for_append(lake, RECEIPTS)
    table = Path(lake.uri(RECEIPTS.name))
    aside = tmp_path / "aside"
    table.rename(aside)
    table.write_text("in the way")  # works for root too, whom no permission stops
    with pytest.raises(BronzeUnavailable):
        commit_rows(head, [_row(1)], [])
    with pytest.raises(BronzeUnavailable):
        head.transaction(DIRECT)
    with pytest.raises(BronzeUnavailable):
        open_for_append(lake, RECEIPTS)
    table.unlink()
    aside.rename(table)
    assert _append(lake, 1) == 1


def test_a_writer_stopped_between_file_and_commit_leaves_no_row(lake: Lake):
    def stop(point: str) -> None:
        raise KeyboardInterrupt(point)

    with pytest.raises(KeyboardInterrupt, match="file written"):
        commit_rows(open_for_append(lake, RECEIPTS), [_row(1)], [], stop)
    assert _keys(lake) == []
    assert list(Path(lake.uri(RECEIPTS.name)).glob("*.parquet"))  # an orphan, harmless
    assert _append(lake, 2) == 1
    assert _keys(lake) == ["r2"]


def test_writers_in_an_object_store_exclude_each_other_too(object_store: ObjectStore):
    lake = object_store.make_lake()
    assert _append(lake, 1) == 1
    one, other = open_for_append(lake, RECEIPTS), open_for_append(lake, RECEIPTS)
    assert commit_rows(one, [_row(2)], ()) == 2
    with pytest.raises(Overtaken):
        commit_rows(other, [_row(3)], ())
    assert _append(lake, 3) == 3
    assert _keys(lake) == ["r1", "r2", "r3"]
    assert _added(lake, 1, 3) == {2: ["r2"], 3: ["r3"]}


def test_an_object_store_that_is_away_is_bronze_that_cannot_be_written(object_store: ObjectStore):
    nobody = ObjectStore(*free_ports(1))
    with pytest.raises(BronzeUnavailable, match="cannot be read or written"):
        open_for_append(Lake(object_store.make_lake().root, nobody.options), RECEIPTS)
