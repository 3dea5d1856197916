"""The upkeep's part in Postgres: the audit trail's partitions, names nobody bears, who reads the lake from there."""

from __future__ import annotations

from typing import Any

import psycopg

from receipts.sql import load_sql

_SQL = load_sql("data_jobs.upkeep", "database")

Connection = psycopg.Connection[tuple[Any, ...]]


def make_audit_partitions(connection: Connection) -> None:
    """Make the partitions that audit events of this month and the next go to."""
    connection.execute(_SQL["make_audit_partitions"])


def forget_names(connection: Connection) -> int | None:
    """Take names that no customer bears any more out of the search; return how many, None when writers are at work."""
    with connection.transaction():
        row = connection.execute(_SQL["forget_names"]).fetchone()
    return None if row is None else row[0]


def list_readers(connection: Connection) -> dict[str, int]:
    """Return by table up to which version everybody outside the lake has read it."""
    return dict(connection.execute(_SQL["list_readers"]))
