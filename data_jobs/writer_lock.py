"""The lock of the one process that writes refined tables: an advisory lock in Postgres, gone with its holder.

Two runners would not corrupt a table, because a commit is refused when a rival has moved the cursor; they would
only do all work twice and fail half of it. The lock says so at once and in words.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from configs.settings import Settings
from receipts.database import DatabaseRole, connect
from receipts.errors import ReceiptsError
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "writer_lock")


class AlreadyRunning(ReceiptsError):
    """Another process is refining this lake; only one at a time may write its tables."""


@contextmanager
def sole_writer(settings: Settings) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """Hold the lock and hand out its connection. Raises AlreadyRunning when another process holds it."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        row = connection.execute(_SQL["claim_lake"]).fetchone()
        if row is None or not row[0]:
            raise AlreadyRunning(str(AlreadyRunning.__doc__))
        yield connection


def check_claim(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Raise psycopg.OperationalError when the connection, and with it the lock, is gone."""
    connection.execute(_SQL["check_claim"])
