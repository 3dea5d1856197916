"""The outbox moves into Bronze: in order, each row exactly once, whatever is killed when.

Synchronous, unlike the rest of this folder: it does one thing after another and Delta commits block anyway.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from configs.settings import Settings
from ingest.backoff import delays
from receipts.bronze import ENVELOPE, TABLES
from receipts.database import DatabaseRole, connect
from receipts.errors import ReceiptsError, Unavailable
from receipts.lake import Lake, lake_of
from receipts.sql import load_sql

_log = logging.getLogger(__name__)
_SQL = load_sql("ingest", "drainer")
_TABLES = {table.name: table for table in TABLES}
_NOTHING = -1  # no transaction has this number: what a table without a commit of ours holds

Connection = psycopg.Connection[tuple[Any, ...]]


class AnotherDrainer(ReceiptsError):
    """Another drainer works on this database; one at a time keeps the order."""


def drain(settings: Settings) -> int:
    """Move what is in the outbox now into Bronze and return how many rows that were.

    Raises AnotherDrainer when one works already, and Unavailable when Postgres cannot be reached.
    """
    try:
        with connect(settings, DatabaseRole.INGEST) as connection:
            connection.autocommit = True
            _lead(connection)
            return _drain_all(connection, settings, threading.Event())
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached: is the platform up?") from error


def drain_continuously(settings: Settings, stop: threading.Event) -> None:
    """Drain until `stop` is set; a failure of Postgres or of the lake is logged once and tried again."""
    for table in TABLES:
        lake_of(settings).ensure(table)
    waits = delays(0.2, 5.0)
    troubled = False
    while not stop.is_set():
        try:
            with connect(settings, DatabaseRole.INGEST) as connection:
                connection.autocommit = True
                _lead(connection)
                while not stop.is_set():
                    _drain_all(connection, settings, stop)
                    waits, troubled = delays(0.2, 5.0), False
                    stop.wait(settings.ingest.drain_interval_s)
        except (psycopg.Error, DeltaError, OSError, AnotherDrainer) as error:
            if not troubled:
                _log.warning("Draining is interrupted and will be tried again: %s", error)
            troubled = True
            stop.wait(next(waits))


def _lead(connection: Connection) -> None:
    (leading,) = _one(connection, "try_to_lead")
    if not leading:
        raise AnotherDrainer(AnotherDrainer.__doc__)


def _drain_all(connection: Connection, settings: Settings, stop: threading.Event) -> int:
    """Drain window after window until the outbox holds nothing that is ready."""
    (lineage,) = _one(connection, "find_lineage")
    lake, moved = lake_of(settings), 0
    while not stop.is_set():
        (last,) = _one(connection, "find_window", limit=settings.ingest.drain_records)
        if last is None:
            break
        for (name,) in connection.execute(_SQL["list_tables"], {"last": last}).fetchall():
            moved += _append(connection, lake, name, f"outbox:{lineage}", last)
        connection.execute(_SQL["record_drained"], {"last": last})
    _one(connection, "rotate_outbox", bytes=settings.ingest.outbox_bytes)
    return moved


def _append(connection: Connection, lake: Lake, name: str, app_id: str, last: int) -> int:
    """Commit a window's rows of one table together with the number of its last transaction.

    That number is read and written through one handle, so a second writer's commit between the two is a conflict:
    delta-rs refuses it instead of appending twice. Rows up to the number are there already: a drainer was killed
    after this commit and before it freed the outbox.
    """
    table = lake.ensure(_TABLES[name])
    done = _committed(table, app_id)
    if done >= last:
        return 0
    rows = connection.execute(_SQL["list_rows"], {"bronze_table": name, "after": max(done, 0), "last": last}).fetchall()
    if rows:
        _commit(table, rows, Transaction(app_id, last))
        _log.info("%s has %d more rows.", name, len(rows))
    return len(rows)


def _committed(table: DeltaTable, app_id: str) -> int:
    version = table.transaction_version(app_id)
    return _NOTHING if version is None else version


def _commit(table: DeltaTable, rows: Sequence[tuple[Any, ...]], transaction: Transaction) -> None:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), ENVELOPE, strict=True)]
    write_deltalake(
        table,
        pa.Table.from_arrays(columns, schema=ENVELOPE),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[transaction]),
    )


def _one(connection: Connection, block: str, **params: object) -> tuple[Any, ...]:
    row = connection.execute(_SQL[block], params).fetchone()
    if row is None:
        raise RuntimeError(f"{block} answers one row, always")
    return row
