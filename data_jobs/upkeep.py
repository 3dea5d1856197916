"""Upkeep between batches: small files made large, and the audit trail's next partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from data_jobs.catalogue import TABLES
from data_jobs.changes import list_files
from receipts import bronze
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "upkeep")
_SMALL_BYTES = 16 * 1024 * 1024
_SMALL_FILES = 40  # that many small files cost a reader more than rewriting them does
_TARGET_BYTES = 64 * 1024 * 1024

NAMES = (*(table.name for table in bronze.TABLES), *(table.name for table in TABLES))


def compact(lake: Lake) -> Iterator[str]:
    """Rewrite the small files of every table that has many of them, yielding the tables' names.

    Compaction changes no data, so no reader of changes sees it, and appends to Bronze go on beside it.
    """
    for name in NAMES:
        if not lake.exists(name):
            continue
        table = lake.open(name)
        sizes = list_files(table)["size_bytes"]
        if (sizes < _SMALL_BYTES).sum() >= _SMALL_FILES:
            table.optimize.compact(target_size=_TARGET_BYTES)
            yield name


def make_audit_partitions(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Make the partitions that audit events of this month and the next go to."""
    connection.execute(_SQL["make_audit_partitions"])
