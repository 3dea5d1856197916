"""What the gateway is measured against: raw writes of the same rows, and a server that stores nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from cluster.errors import PlatformError
from cluster.migrations import migrate
from cluster.postgres import admin_dsn
from configs.settings import Settings
from receipts.database import DatabaseRole, connect, conninfo
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "ingest_peers")
_TWIN = "receipts_twin"
_PATIENCE_S = 30.0

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]


def make_twin(settings: Settings) -> None:
    """Make an empty database with the same tables, indexes and grants on the same server."""
    with psycopg.connect(admin_dsn(settings), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(_TWIN)))
    migrate(admin_dsn(settings, _TWIN))


def rows_of(settings: Settings, receipt_ids: Sequence[str]) -> list[Row]:
    """Return what the gateway wrote for these receipts: the columns of `list_receipts`."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        return connection.execute(_SQL["list_receipts"], (list(receipt_ids),)).fetchall()


def await_drained(settings: Settings, patience_s: float) -> None:
    """Wait until the outbox holds nothing that Bronze lacks."""
    deadline = time.monotonic() + patience_s
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        while connection.execute(_SQL["find_waiting"]).fetchone() is not None:
            if time.monotonic() > deadline:
                raise PlatformError(f"The outbox was not drained within {patience_s:.0f} s.")
            time.sleep(0.1)


def insert_rate(settings: Settings, rows: Sequence[Row], transaction_rows: int) -> float:
    """Return the rows a second of INSERT ... SELECT FROM unnest, one transaction for so many receipts and outbox rows.

    Values are turned into columns before the clock runs; a transaction's statements travel in one pipeline.
    """
    groups = [_columns(rows[i : i + transaction_rows], i) for i in range(0, len(rows), transaction_rows)]
    with _twin(settings, conninfo(settings, DatabaseRole.INGEST, {"dbname": _TWIN})) as connection:
        began = time.perf_counter()
        for receipts, outbox in groups:
            with connection.pipeline(), connection.transaction():
                connection.execute(_SQL["insert_receipts"], receipts, prepare=True)
                connection.execute(_SQL["insert_outbox"], outbox, prepare=True)
        return len(rows) / (time.perf_counter() - began)


def copy_rate(settings: Settings, rows: Sequence[Row]) -> float:
    """Return the rows a second of two COPYs, receipts and outbox, in one transaction."""
    receipts = [(*row[:12], row[11], row[12]) for row in rows]
    outbox = [
        (0, i, "bronze.receipts", row[0], row[1], row[12], "bench", row[11], row[10]) for i, row in enumerate(rows)
    ]
    with _twin(settings, admin_dsn(settings, _TWIN)) as connection:  # COPY is refused where row-level security applies
        began = time.perf_counter()
        with connection.transaction():
            for block, values in (("copy_receipts", receipts), ("copy_outbox", outbox)):
                with connection.cursor().copy(_SQL[block]) as copy:
                    for row in values:
                        copy.write_row(row)
        return len(rows) / (time.perf_counter() - began)


@contextmanager
def echo_server() -> Generator[str]:
    """Run the server that acknowledges without storing; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cluster.benchmarks.ingest_echo", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        _await_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
        if process.stdin is not None:
            process.stdin.close()


@contextmanager
def _twin(settings: Settings, dsn: str) -> Generator[Connection]:
    """Give a connection to the twin, whose tables are empty before and after."""
    with psycopg.connect(admin_dsn(settings, _TWIN), autocommit=True) as admin:
        admin.execute(_SQL["truncate_tables"])
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection
        admin.execute(_SQL["truncate_tables"])


def _columns(rows: Sequence[Row], first: int) -> tuple[list[list[Any]], list[list[Any]]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[8], columns[9] = ([",".join(values) for values in columns[i]] for i in (8, 9))
    sequences = list(range(first, first + len(rows)))
    return columns, [sequences, columns[0], columns[1], columns[12], columns[11], columns[10]]


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
