"""What changed in a Delta table between two versions, as files that a task can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from receipts.errors import ReceiptsError
from receipts.lake import Lake

CHANGE = "_change_type"  # insert, update_preimage, update_postimage or delete, as Delta's change data feed names them
VERSION = "_commit_version"
AFTER = ("insert", "update_postimage")
BEFORE = ("update_preimage", "delete")
PARTITION = "partition."  # before a partition column in the list of a table's files
NEVER = -1  # the cursor of a table that has not read its input yet


class HistoryGone(ReceiptsError):
    """The log of a table no longer reaches back to where its reader stopped: the reader must be built anew."""


@dataclass(frozen=True, slots=True)
class ChangeFile:
    """A Parquet file with changed rows. Without `change` each row says itself what happened to it.

    `partition` holds what the log says of all rows of the file: columns that are dates and not in it.
    """

    uri: str
    version: int
    size_bytes: int
    change: str | None
    partition: tuple[tuple[str, date], ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeRange:
    """The changes of the versions after `after` up to and with `upto`."""

    after: int
    upto: int
    files: tuple[ChangeFile, ...]

    @property
    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.size_bytes for file in self.files)


def find_changes(lake: Lake, name: str, after: int, head: int, most_bytes: int) -> ChangeRange:
    """Return the changes after a version: up to `head`, or to the commit that reaches `most_bytes`.

    A reader that never read starts from a snapshot where the log is not whole. Raises HistoryGone where a later
    reader meets a gap.
    """
    files: list[ChangeFile] = []
    upto, size = after, 0
    for version in range(after + 1, head + 1):
        actions = lake.read_commit(name, version)
        if actions is None and after == NEVER:
            return find_snapshot(lake, name, head)
        if actions is None:
            raise HistoryGone(f"{name} has lost the log of version {version}, and a reader stopped at {after}.")
        found = list(_changed_files(lake.uri(name), version, actions))
        if files and size + sum(file.size_bytes for file in found) > most_bytes:
            break
        files += found
        size += sum(file.size_bytes for file in found)
        upto = version
    return ChangeRange(after, upto, tuple(files))


def find_snapshot(lake: Lake, name: str, version: int) -> ChangeRange:
    """Return all rows of a version as inserted ones."""
    root = lake.uri(name)
    files = [
        ChangeFile(f"{root}/{unquote(row['path'])}", version, row["size_bytes"], "insert", _partition_of(row))
        for row in list_files(lake.open(name, version)).iter_rows(named=True)
    ]
    return ChangeRange(NEVER, version, tuple(files))


def committed_at(lake: Lake, name: str, version: int) -> datetime:
    """Return when a version was committed. Raises HistoryGone when its log is gone."""
    for action in lake.read_commit(name, version) or ():
        if "commitInfo" in action:
            return datetime.fromtimestamp(action["commitInfo"]["timestamp"] / 1000, UTC)
    raise HistoryGone(f"{name} has lost the log of version {version}.")


def read_changes(
    files: Sequence[ChangeFile],
    options: Mapping[str, str],
    columns: Sequence[str] | None = None,
    where: pl.Expr | None = None,
) -> pl.DataFrame:
    """Return the rows of change files with `_change_type` and `_commit_version`, in the order of versions.

    `where` may use any column of the table. There must be at least one file.
    """
    frames: list[pl.DataFrame] = []
    for file in files:
        rows = pl.scan_parquet(file.uri, storage_options=dict(options), hive_partitioning=False)
        rows = rows.with_columns(pl.lit(value).alias(name) for name, value in file.partition)
        if columns is not None:  # a file may be older than one of them
            held = set(rows.collect_schema().names())
            rows = rows.with_columns(pl.lit(None).alias(name) for name in columns if name not in held)
        if file.change is not None:
            rows = rows.with_columns(pl.lit(file.change).alias(CHANGE))
        if where is not None:
            rows = rows.filter(where)
        if columns is not None:
            rows = rows.select(*columns, CHANGE)
        # The streaming engine takes two to three times the CPU for plans as small as these.
        frames.append(rows.with_columns(pl.lit(file.version).alias(VERSION)).collect(engine="in-memory"))
    return pl.concat(frames, how="diagonal_relaxed")


def net_changes(changes: pl.DataFrame, key: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows as they were before and as they are after: each key at most once in either frame.

    A key that came and went in between is in neither; its first image tells whether it was there before.
    """
    rank = pl.col(CHANGE).replace_strict({"delete": 0, "update_preimage": 1, "insert": 2, "update_postimage": 3})
    ordered = changes.with_columns(rank.alias("_rank")).sort(VERSION, "_rank", maintain_order=True).drop("_rank")
    first = ordered.unique(list(key), keep="first", maintain_order=True)
    last = ordered.unique(list(key), keep="last", maintain_order=True)
    helpers = (CHANGE, VERSION)
    return first.filter(pl.col(CHANGE).is_in(BEFORE)).drop(helpers), last.filter(pl.col(CHANGE).is_in(AFTER)).drop(
        helpers
    )


def list_files(table: DeltaTable) -> pl.DataFrame:
    """Return the files of a table's version: path, size_bytes, num_records, min.<column>, max.<column>, ..."""
    files = pl.from_arrow(pa.table(table.get_add_actions(flatten=True)))
    assert isinstance(files, pl.DataFrame)
    return files


def _changed_files(root: str, version: int, actions: Sequence[dict[str, Any]]) -> Iterator[ChangeFile]:
    """Take the change files where a commit has them, else what it added and removed; OPTIMIZE changes nothing."""
    feed = [action["cdc"] for action in actions if "cdc" in action]
    for file in feed:
        yield ChangeFile(f"{root}/{unquote(file['path'])}", version, file["size"], None, _partition(file))
    if feed:
        return
    for action in actions:
        for kind, change in (("add", "insert"), ("remove", "delete")):
            if kind in action and action[kind].get("dataChange", True):
                file = action[kind]
                yield ChangeFile(
                    f"{root}/{unquote(file['path'])}", version, file.get("size") or 0, change, _partition(file)
                )


def _partition(action: Mapping[str, Any]) -> tuple[tuple[str, date], ...]:
    values = action.get("partitionValues") or {}
    return tuple((name, date.fromisoformat(value)) for name, value in values.items())


def _partition_of(row: Mapping[str, Any]) -> tuple[tuple[str, date], ...]:
    parted = ((name.removeprefix(PARTITION), value) for name, value in row.items() if name.startswith(PARTITION))
    return tuple(parted)
