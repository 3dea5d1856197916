"""Months of the audit trail let go: from Postgres when the lake's copy of them verifies, from everywhere after years.

Only the retention role may, and only what is old enough; the database sees to both, and writes it into the trail.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from configs.settings import Settings
from data_jobs.changes import PARTITION, list_files
from data_jobs.declaration import Table
from data_jobs.tables import audit_events, audit_groups
from data_jobs.trail.keys import trusted_keys
from data_jobs.trail.place import place_of
from data_jobs.trail.verification import Scope, verify
from data_jobs.upkeep.compaction import replace_files
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.sql import load_sql

_LOG = logging.getLogger(__name__)
_SQL = load_sql("data_jobs.trail", "retention")
_TABLES = (audit_groups.TABLE, audit_events.TABLE)


@dataclass(frozen=True, slots=True)
class Retired:
    """What one step let go."""

    month: date
    what: str

    def __str__(self) -> str:
        return f"The audit trail of {self.month:%Y-%m}: {self.what}"


def retire(settings: Settings, today: date) -> Iterator[Retired | None]:
    """Let go of what may go, oldest first, yielding after every step and, with None, while copies are verified.

    Raises Broken where a copy does not verify: nothing of that month leaves Postgres.
    """
    with connect(settings, DatabaseRole.RETENTION) as connection:
        connection.autocommit = True
        months: list[tuple[Any, ...]] = connection.execute(_SQL["list_months"]).fetchall()
        for month, has_spool in months:
            if _months_between(month, today) > 12 * settings.audit.retention_years:
                connection.execute(_SQL["drop_expired"], [month, settings.audit.retention_years])
                yield Retired(month, "removed for good")
                continue
            old = has_spool and _months_between(month, today) > settings.audit.hot_months
            if old and (yield from _is_copied(settings, month)):
                connection.execute(_SQL["retire_spool"], [month])
                yield Retired(month, "its groups are in the lake only")
    yield from _expire_copies(settings)


def _is_copied(settings: Settings, month: date) -> Iterator[None]:
    """Verify a month and answer whether the lake holds all of it, anchored."""
    following = (month + timedelta(days=31)).replace(day=1)
    scope = Scope(trusted_keys(settings), place_of(settings), month, following - timedelta(days=1))
    steps = verify(settings, scope)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            verdict = ended.value
            break
        yield
    if verdict.broken is not None:
        raise verdict.broken
    if verdict.not_copied_groups or verdict.unanchored_groups:
        _LOG.warning(
            "The audit groups of %s stay in Postgres: %d are not copied, %d not anchored.",
            f"{month:%Y-%m}", verdict.not_copied_groups, verdict.unanchored_groups,
        )  # fmt: skip
        return False
    return True


def _expire_copies(settings: Settings) -> Iterator[Retired]:
    """Remove from the lake what Postgres says has expired; vacuum takes the files when nobody can want them."""
    lake = lake_of(settings)
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        expired: list[tuple[Any, ...]] = connection.execute(_SQL["list_expired"]).fetchall()
    for (month,) in expired:
        for table in _TABLES:
            if _remove_month(lake, table, month):
                yield Retired(month, f"removed from {table.name}")


def _remove_month(lake: Lake, table: Table, month: date) -> bool:
    if not lake.exists(table.name):
        return False
    handle = lake.open(table.name)
    files = list_files(handle)
    if files.is_empty():
        return False
    group = files.rename({f"{PARTITION}month": "partition"}).filter(pl.col("partition") == month)
    why: dict[str, object] = {"kind": "retention", "rows": int(group["num_records"].sum())}
    return group.height > 0 and replace_files(handle, lake, table, group, [], why)


def _months_between(month: date, today: date) -> int:
    return (today.year - month.year) * 12 + today.month - month.month
