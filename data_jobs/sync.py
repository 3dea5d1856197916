"""The change data feed of refined tables, followed into Postgres: rows and watermark in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from data_jobs.catalogue import TABLES
from data_jobs.changes import (
    NEVER,
    ChangeFile,
    ChangeRange,
    HistoryGone,
    committed_at,
    find_changes,
    find_snapshot,
    net_changes,
    read_changes,
)
from data_jobs.declaration import Served, Table
from receipts.errors import ReceiptsError
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "sync")
_STATEMENT_ROWS = 2_000  # per statement: some megabytes of documents
_TRANSACTION_BYTES = 32 * 1024 * 1024  # of compressed changes: a transaction this long is still short

SERVED = tuple(table for table in TABLES if table.served_as is not None)

Connection = psycopg.Connection[tuple[Any, ...]]


class SyncOvertaken(ReceiptsError):
    """Another sync moved the watermark first; nothing of ours was written."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What one transaction brought to Postgres."""

    table: str
    version: int
    written: int
    confirmed: int
    deleted: int

    def __str__(self) -> str:
        return (
            f"{self.table} is in Postgres up to version {self.version}: {self.written} written, "
            f"{self.confirmed} confirmed, {self.deleted} deleted"
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """How Postgres compares with the lake, row by row."""

    table: str
    lake_rows: int
    postgres_rows: int
    missing: int
    different: int


def sync(lake: Lake, connection: Connection, tables: Iterable[Table] = SERVED) -> Iterator[Synced]:
    """Bring tables up to their newest version, yielding after every transaction."""
    for table in tables:
        while lake.exists(table.name) and (synced := sync_next(lake, connection, table)) is not None:
            yield synced


def sync_next(lake: Lake, connection: Connection, table: Table) -> Synced | None:
    """Write the next stretch of a table's changes in one transaction; none when Postgres is up to date.

    Of all changes of a key only the last counts. A table that was never synced is read as it stands, file by file.
    """
    served = _served(table)
    with connection.transaction():
        row = connection.execute(_SQL["find_watermark"], {"table_name": table.name}).fetchone()
        after = NEVER if row is None else int(row[0])
        head = lake.open(table.name).version()
        if after >= head:
            return None
        changes = _changes(lake, table, after, head)
        written = confirmed = deleted = 0
        for files in _stretches(changes):
            rows = read_changes(files, lake.storage_options, _columns(table, served))
            before, now = net_changes(rows, table.key)
            gone = before.join(now, on=list(table.key), how="anti")
            counts = _write(connection, served, now)
            written, confirmed = written + counts[0], confirmed + counts[1]
            deleted += _delete(connection, table, served, gone)
        _move(connection, lake, table, after, changes.upto)
    return Synced(table.name, changes.upto, written, confirmed, deleted)


def compare(lake: Lake, connection: Connection, table: Table) -> Compared:
    """Hold every row of a table's newest version against Postgres."""
    served = _served(table)
    total = connection.execute(_SQL[f"count_{served.relation}"]).fetchone()
    rows = missing = different = 0
    if lake.exists(table.name):
        head = lake.open(table.name).version()
        for file in find_snapshot(lake, table.name, head).files:
            frame = read_changes([file], lake.storage_options, _columns(table, served))
            rows += frame.height
            for values in _parameters(served, frame):
                found = connection.execute(_SQL[f"compare_{served.relation}"], values).fetchone()
                missing, different = missing + (found or (0, 0))[0], different + (found or (0, 0))[1]
    return Compared(table.name, rows, total[0] if total else 0, missing, different)


def _served(table: Table) -> Served:
    assert table.served_as is not None, f"{table.name} is not served"
    return table.served_as


def _columns(table: Table, served: Served) -> list[str]:
    """Return the columns of the lake that a served relation is made of."""
    return sorted({*table.key, *(name for expr in served.columns.values() for name in expr.meta.root_names())})


def _changes(lake: Lake, table: Table, after: int, head: int) -> ChangeRange:
    if after == NEVER:
        return find_snapshot(lake, table.name, head)
    try:
        return find_changes(lake, table.name, after, head, _TRANSACTION_BYTES)
    except HistoryGone:
        return find_snapshot(lake, table.name, head)  # all rows again: those that are here already change nothing


def _stretches(changes: ChangeRange) -> Iterator[list[ChangeFile]]:
    """Yield the files that must be seen together: changes of a range at once, a snapshot file by file."""
    if changes.after == NEVER:
        yield from ([file] for file in changes.files)
    elif changes.files:
        yield list(changes.files)


def _write(connection: Connection, served: Served, rows: pl.DataFrame) -> tuple[int, int]:
    """Write rows and return how many were written and how many were only confirmed."""
    written = confirmed = 0
    for chunk in rows.iter_slices(_STATEMENT_ROWS):
        rest = chunk
        if served.confirmed:
            values = _values(chunk, {name: served.columns[name] for name in served.confirmed})
            known = [row[0] for row in connection.execute(_SQL[f"confirm_{served.relation}"], values)]
            rest = chunk.filter(~pl.col(served.confirmed[0]).is_in(known))
            confirmed += len(known)
        for values in _parameters(served, rest):
            written += connection.execute(_SQL[f"record_{served.relation}"], values).rowcount
    return written, confirmed


def _delete(connection: Connection, table: Table, served: Served, gone: pl.DataFrame) -> int:
    if gone.is_empty():
        return 0
    values = {name: gone[name].to_list() for name in table.key}
    return connection.execute(_SQL[f"delete_{served.relation}"], values).rowcount


def _move(connection: Connection, lake: Lake, table: Table, after: int, upto: int) -> None:
    values = {
        "table_name": table.name,
        "after": after,
        "version": upto,
        "committed_at": committed_at(lake, table.name, upto),
    }
    if connection.execute(_SQL["record_watermark"], values).fetchone() is None:
        raise SyncOvertaken(f"Another sync of {table.name} was faster; nothing was written.")


def _parameters(served: Served, rows: pl.DataFrame) -> Iterator[dict[str, list[Any]]]:
    for chunk in rows.iter_slices(_STATEMENT_ROWS):
        if chunk.height:
            yield _values(chunk, served.columns)


def _values(rows: pl.DataFrame, columns: Mapping[str, pl.Expr]) -> dict[str, list[Any]]:
    shaped = rows.select(expression.alias(name) for name, expression in columns.items())
    return {name: shaped[name].to_list() for name in columns}
