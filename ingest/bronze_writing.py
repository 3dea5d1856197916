"""The one way to write a Bronze table: look at it, then commit only if no other writer came in between.

    head = open_for_append(lake, table) -> Head
    head.version, head.transaction(app_id)         what was looked at
    commit_rows(head, rows, transactions) -> int   the version of the commit; raises Overtaken: open, look, try again
    commits_between(lake, table.name, after, upto) -> Iterator[Commit]   what versions (after, upto] added

Delta refuses a commit when one with the same application was made after the version it started from. All writers of
Bronze name the application WRITER, so they exclude each other; compaction names none and is in nobody's way.

What `open_for_append` shows and what `commit_rows` wrote survives a power cut. Everything here raises BronzeUnavailable
when the lake cannot be read or written (disk full, not mounted, store away). A commit that failed or was killed may
leave a Parquet file that no version names: readers never see it, vacuum removes it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.fs as pf
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from receipts.bronze import ENVELOPE
from receipts.errors import ReceiptsError
from receipts.lake import Lake, LakeTable

WRITER = "bronze-writer"  # the application of every commit that adds rows to Bronze
DIRECT = "direct"  # beside it: a gateway wrote while Postgres took no writes
NEVER = -1  # comes before the first version, and before the first transaction of an application
_BATCH_ROWS = 2_000  # a few megabytes
_ROOM_BYTES = 16 * 2**20  # what a commit may need; a volume with less room counts as full when a write fails

Row = tuple[Any, ...]  # in the order of ENVELOPE; payload_digest in hex


class Overtaken(ReceiptsError):
    """Another writer committed to this Bronze table since it was looked at."""


class BronzeUnavailable(ReceiptsError):
    """Bronze cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Head:
    """A Bronze table as it was looked at."""

    lake: Lake
    table: LakeTable
    handle: DeltaTable
    version: int

    def transaction(self, app_id: str) -> int:
        """Return the last transaction number of an application, or NEVER."""
        with _told_apart(self.lake):  # the handle may read the log again, which may be gone by now
            number = self.handle.transaction_version(app_id)
        return NEVER if number is None else number


@dataclass(frozen=True, slots=True)
class Commit:
    """One version: the applications that it names and the files that it added rows with."""

    lake: Lake
    name: str
    version: int
    applications: frozenset[str]
    files: tuple[str, ...]

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows it added in batches of at most 2,000; `columns` picks some."""
        with _told_apart(self.lake):
            handler = DeltaStorageHandler(self.lake.uri(self.name), dict(self.lake.storage_options))
            store = pf.PyFileSystem(handler)
            for file in self.files:
                with pq.ParquetFile(file, filesystem=store) as parquet:
                    yield from parquet.iter_batches(_BATCH_ROWS, columns=columns)


def open_for_append(lake: Lake, table: LakeTable) -> Head:
    """Open a Bronze table, creating it if it is not there; all that it shows is on the disk."""
    with _told_apart(lake):
        handle = lake.ensure(table)
        head = Head(lake, table, handle, handle.version())
        # A writer may have been killed between its commit and its fsync, so whoever builds on that makes up for it.
        # Each writer did so for those before it: the commits since the last writer's are enough.
        for version in range(head.version, -1, -1):
            actions = lake.read_commit(table.name, version)
            if actions is None:
                break
            lake.make_durable(table.name, version, actions)
            if WRITER in _applications(actions):
                break
    return head


def commit_rows(
    head: Head,
    rows: Sequence[Row],
    transactions: Sequence[Transaction],
    at: Callable[[str], None] = lambda _: None,
) -> int:
    """Add rows to a table as it was looked at and return the version; `at` hears "file written" before the commit.

    There must be a row. Raises Overtaken when another writer came in between: then nothing was added.
    """
    with _told_apart(head.lake):
        add = _write_file(head, rows)
        at("file written")
        own = [Transaction(WRITER, head.version + 1), *transactions]
        failure: Exception | None = None
        try:
            head.handle.create_write_transaction(
                [add], "append", head.handle.schema(), commit_properties=CommitProperties(app_transactions=own)
            )
        except (DeltaError, OSError) as error:
            failure = error
        return _find_own(head, add.path, failure)


def commits_between(lake: Lake, name: str, after: int, upto: int) -> Iterator[Commit]:
    """Yield the versions (after, upto] of a table in order; compaction added no rows, so its commit has no files.

    Where the log of the first is cleaned up, the whole table at `upto` comes as one commit that names no application.
    """
    with _told_apart(lake):
        for version in range(after + 1, upto + 1):
            actions = lake.read_commit(name, version)
            if actions is None:
                yield Commit(lake, name, upto, frozenset(), _files_at(lake, name, upto))
                return
            yield Commit(lake, name, version, _applications(actions), _added(actions))


def _find_own(head: Head, path: str, failure: Exception | None) -> int:
    """Look for the file in the log, which alone knows whether it was committed: a commit may fail afterwards too."""
    name, overtaken = head.table.name, False
    for version in count(head.version + 1):
        actions = head.lake.read_commit(name, version)
        if actions is None:
            break
        if path in _added(actions):
            head.lake.make_durable(name, version, actions)
            return version
        overtaken = overtaken or WRITER in _applications(actions)
    if overtaken:
        _store(head.lake, name).delete_file(path)
        raise Overtaken(f"Another writer committed to {name} since version {head.version}.") from failure
    raise BronzeUnavailable(f"{name} took no commit: {failure}") from failure


def _write_file(head: Head, rows: Sequence[Row]) -> AddAction:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), ENVELOPE, strict=True)]
    frame = pl.from_arrow(pa.Table.from_arrays(columns, schema=ENVELOPE))
    path = f"part-{uuid.uuid4().hex}.zstd.parquet"
    assert isinstance(frame, pl.DataFrame)
    options = dict(head.lake.storage_options)
    uri = f"{head.lake.uri(head.table.name)}/{path}"
    frame.write_parquet(uri, compression="zstd", compression_level=1, storage_options=options)
    size: int = _store(head.lake, head.table.name).get_file_info([path])[0].size
    now_ms = int(time.time() * 1_000)
    return AddAction(path, size, {}, now_ms, data_change=True, stats=_statistics(frame, head.table.statistics))


def _statistics(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    lowest, highest = ({name: edge(frame[name]) for name in columns} for edge in (pl.Series.min, pl.Series.max))
    return json.dumps(
        {
            "numRecords": frame.height,
            "minValues": {name: _text(value) for name, value in lowest.items() if value is not None},
            "maxValues": {name: _text(value) for name, value in highest.items() if value is not None},
            "nullCount": {name: frame[name].null_count() for name in columns},
        }
    )


def _text(value: object) -> object:
    """Render an instant as the Delta log does."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


def _store(lake: Lake, name: str) -> DeltaStorageHandler:
    return DeltaStorageHandler(lake.uri(name), dict(lake.storage_options))


def _applications(actions: Sequence[dict[str, Any]]) -> frozenset[str]:
    return frozenset(action["txn"]["appId"] for action in actions if "txn" in action)


def _added(actions: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    adds = (action["add"] for action in actions if "add" in action)
    return tuple(unquote(add["path"]) for add in adds if add.get("dataChange", True))


def _files_at(lake: Lake, name: str, version: int) -> tuple[str, ...]:
    files = pa.table(lake.open(name, version).get_add_actions(flatten=True))
    return tuple(unquote(path) for path in files.column("path").to_pylist())


@contextmanager
def _told_apart(lake: Lake) -> Generator[None]:
    """Raise whatever goes wrong with files, the log or the store as one error, so that nobody else knows Delta's."""
    try:
        yield
    except (OSError, DeltaError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise BronzeUnavailable(f"Bronze cannot be read or written: {error}{_fullness(lake, error)}") from error


def _fullness(lake: Lake, error: Exception) -> str:
    """Return what a full volume is called by the system, where the error does not say it: polars drops the reason."""
    reason = os.strerror(errno.ENOSPC)
    if "://" in lake.root or reason in str(error):
        return ""
    with contextlib.suppress(OSError):  # the folder itself may be away
        folder = lake.uri("bronze")  # which may be a volume of its own
        free = shutil.disk_usage(folder).free
        if free < _ROOM_BYTES:
            return f" ({reason}: {free // 1024} KiB are free at {folder})"
    return ""
