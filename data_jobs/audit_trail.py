"""The audit trail behind the answers: groups of events that replicas made durable are taken apart for the search."""

from __future__ import annotations

from typing import Any

import psycopg

from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "audit_trail")

Connection = psycopg.Connection[tuple[Any, ...]]


def project_trail(connection: Connection) -> int:
    """Take all groups apart that are there, some hundred a transaction; returns how many groups."""
    projected = 0
    while True:
        with connection.transaction():
            row = connection.execute(_SQL["project"]).fetchone()
        assert row is not None
        if row[0] == 0:
            return projected
        projected += row[0]
