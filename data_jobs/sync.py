"""The change data feed of refined tables, followed into Postgres: rows and watermark in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_jobs.catalogue import TABLES
from data_jobs.changes import NEVER, ChangeRange, HistoryGone, find_changes, net_changes, read_changes
from data_jobs.declaration import Table
from data_jobs.sync_backfill import back_fill
from data_jobs.sync_marks import find_watermark, move_watermark
from data_jobs.sync_snapshot import PIECE_BYTES
from data_jobs.sync_writing import Connection, Written, delete, needed_columns, prepare_writing, write
from data_jobs.traces import NO_TRACES, Traces
from receipts.lake import Lake

_TRANSACTION_BYTES = 32 * 1024 * 1024  # of compressed changes: a transaction this long is still short

SERVED = tuple(table for table in TABLES if table.served_as is not None)


@dataclass(frozen=True, slots=True)
class Synced:
    """What one transaction brought to Postgres. Where it did not finish, `version` is still on its way."""

    table: str
    version: int
    written: int
    confirmed: int
    deleted: int
    finished: bool

    def __str__(self) -> str:
        state = "is" if self.finished else "is on its way to being"
        return (
            f"{self.table} {state} in Postgres up to version {self.version}: {self.written} written, "
            f"{self.confirmed} confirmed, {self.deleted} deleted"
        )


def sync(
    lake: Lake,
    connection: Connection,
    tables: Iterable[Table] = SERVED,
    piece_bytes: int = PIECE_BYTES,
    traces: Traces = NO_TRACES,
) -> Iterator[Synced]:
    """Bring tables up to their newest version, yielding after every transaction.

    A table that was never synced, or whose log no longer reaches back to the watermark, is read as it stands, in
    pieces of so many bytes. The connection is in no transaction, or every transaction of ours would wait for it.
    """
    for table in tables:
        if lake.exists(table.name):
            yield from _sync_table(lake, connection, table, piece_bytes, traces)


def _sync_table(lake: Lake, connection: Connection, table: Table, piece_bytes: int, traces: Traces) -> Iterator[Synced]:
    while True:
        with connection.transaction():
            after = find_watermark(connection, table)
        head = lake.newest_version(table.name, after)
        if after >= head:
            return
        changes = _changes(lake, table, after, head)
        if changes is not None:
            with traces.syncing(table.name) as span:
                written = _follow(lake, connection, table, changes)
                if span is not None:
                    span.tell({"receipts.upto": changes.upto, "receipts.written": written.written})
            yield _synced(table, changes.upto, written, finished=True)
            continue
        for step in back_fill(lake, connection, table, after, piece_bytes):
            yield _synced(table, step.version, step.written, finished=step.finished)


def _changes(lake: Lake, table: Table, after: int, head: int) -> ChangeRange | None:
    """Return the next stretch of changes, or none when the table has to be read as it stands."""
    if after == NEVER:
        return None
    try:
        return find_changes(lake, table.name, after, head, _TRANSACTION_BYTES)
    except HistoryGone:
        return None


def _follow(lake: Lake, connection: Connection, table: Table, changes: ChangeRange) -> Written:
    """Write changes in one transaction with the watermark. Of all changes of a key only the last counts."""
    total = Written()
    rows = read_changes(changes.files, lake.storage_options, needed_columns(table)) if changes.files else None
    with connection.transaction():
        prepare_writing(connection)
        if rows is not None:
            before, now = net_changes(rows, table.key)
            total += write(connection, table, now)
            total += delete(connection, table, before.join(now, on=list(table.key), how="anti"))
        move_watermark(connection, lake, table, changes.after, changes.upto)
    return total


def _synced(table: Table, version: int, written: Written, *, finished: bool) -> Synced:
    return Synced(table.name, version, written.written, written.confirmed, written.deleted, finished)
