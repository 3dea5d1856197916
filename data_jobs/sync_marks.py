"""How far the sync has come, noted in Postgres beside the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass

from data_jobs.changes import NEVER, committed_at
from data_jobs.declaration import Table
from data_jobs.sync_snapshot import START, Position
from data_jobs.sync_writing import Connection
from receipts.errors import ReceiptsError
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "sync_marks")


class SyncOvertaken(ReceiptsError):
    """Another sync moved the watermark first; nothing of ours was written."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """A version that is being brought to Postgres as a whole, and how far that has come.

    Where it did not begin with an empty relation, rows may stand there that the lake no longer holds.
    """

    version: int
    began_empty: bool
    done: Position = START


def find_watermark(connection: Connection, table: Table) -> int:
    """Return the version that Postgres has, or -1."""
    row = connection.execute(_SQL["find_watermark"], {"table_name": table.name}).fetchone()
    return NEVER if row is None else int(row[0])


def move_watermark(connection: Connection, lake: Lake, table: Table, after: int, upto: int) -> None:
    """Move the watermark within the caller's transaction. Raises SyncOvertaken when it is not where it was."""
    values = {
        "table_name": table.name,
        "after": after,
        "version": upto,
        "committed_at": committed_at(lake, table.name, upto),
    }
    if connection.execute(_SQL["record_watermark"], values).fetchone() is None:
        raise _overtaken(table)


def find_backfill(connection: Connection, table: Table) -> Backfill | None:
    """Return the back-fill of a table that is under way."""
    row = connection.execute(_SQL["find_backfill"], {"table_name": table.name}).fetchone()
    return None if row is None else Backfill(row[0], row[1], Position(row[2], row[3]))


def begin_backfill(connection: Connection, table: Table, backfill: Backfill) -> None:
    """Note a back-fill that has done nothing yet, in place of any other of this table."""
    values = {"table_name": table.name, "version": backfill.version, "began_empty": backfill.began_empty}
    connection.execute(_SQL["record_backfill"], values)


def note_progress(connection: Connection, table: Table, version: int, before: Position, after: Position) -> None:
    """Move a back-fill on within the caller's transaction. Raises SyncOvertaken when it is not where it was."""
    values = {
        "table_name": table.name,
        "version": version,
        "path": after.path,
        "rows": after.rows,
        "path_before": before.path,
        "rows_before": before.rows,
    }
    if connection.execute(_SQL["record_progress"], values).fetchone() is None:
        raise _overtaken(table)


def end_backfill(connection: Connection, table: Table) -> None:
    """Forget a back-fill within the transaction that completes it."""
    connection.execute(_SQL["delete_backfill"], {"table_name": table.name})


def _overtaken(table: Table) -> SyncOvertaken:
    return SyncOvertaken(f"Another sync of {table.name} was faster; nothing was written.")
