"""The audit trail copied from Postgres into append-only tables, each group once, in the order of their positions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from data_jobs.declaration import polars_schema
from data_jobs.tables import audit_events
from data_jobs.trail.lake_groups import GROUPS, append, next_groups, read_position
from data_jobs.trail.telling import UNREADABLE, day_of, events_of
from receipts.lake import Lake
from receipts.sql import load_sql

_LOG = logging.getLogger(__name__)
_SQL = load_sql("data_jobs.trail", "copying")
EVENTS = audit_events.TABLE
GROUPS_AT_ONCE = 2_000  # some tens of megabytes where groups are as full as they get

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Copied:
    """What one commit added to a table of the trail."""

    table: str
    after: int
    upto: int  # positions
    rows: int

    def __str__(self) -> str:
        return f"{self.table}: {self.rows} rows from the groups at {self.after + 1} to {self.upto}"


def find_newest(connection: Connection) -> int:
    """Return the position of the last group there is to copy."""
    with connection.transaction():
        row = connection.execute(_SQL["find_newest"]).fetchone()
    assert row is not None
    return int(row[0])


def copy_groups(lake: Lake, connection: Connection, most: int = GROUPS_AT_ONCE) -> Iterator[Copied]:
    """Copy groups that are new, yielding after every commit.

    One that is gone from the spool is left out: `receipts audit verify` names it, and what follows it is evidence too.
    """
    after = read_position(lake, GROUPS)
    names = [name for name in GROUPS.schema.names if name != "month"]
    while rows := _list_groups(connection, after, most):
        upto: int = rows[-1][0]
        held = [row for row in rows if row[6] is not None]
        if len(held) < len(rows):
            _LOG.error(
                "%d groups of the audit trail are gone from the spool before they were copied.", len(rows) - len(held)
            )
        schema = polars_schema(GROUPS.schema)
        frame = pl.DataFrame(held, schema={name: schema[name] for name in names}, orient="row")
        months = pl.Series("month", [day_of(chain).replace(day=1) for chain in frame["chain"]], dtype=pl.Date)
        append(lake, GROUPS, frame.with_columns(months), after, upto)
        yield Copied(GROUPS.name, after, upto, frame.height)
        after = upto


def _list_groups(connection: Connection, after: int, most: int) -> list[tuple[Any, ...]]:
    with connection.transaction():
        return connection.execute(_SQL["list_groups"], [after, most]).fetchall()


def take_apart(lake: Lake, most: int = GROUPS_AT_ONCE) -> Iterator[Copied]:
    """Add the events of copied groups to the table that is searched, yielding after every commit.

    A group that Postgres or we cannot read is left out: `receipts audit verify` names it, and the rest is evidence too.
    """
    after, reached = read_position(lake, EVENTS), read_position(lake, GROUPS)
    while after < reached:
        groups, upto = next_groups(lake, after, most, ["position", "chain", "seq", "events", "payload"])
        events: list[dict[str, Any]] = []
        for position, chain, seq, number, payload in groups.iter_rows():
            month = day_of(chain).replace(day=1)
            told = _read_events(chain, seq, payload) if number else ()
            events += [{"month": month, "position": position, **event} for event in told]
        append(lake, EVENTS, pl.DataFrame(events, schema=polars_schema(EVENTS.schema)), after, upto)
        yield Copied(EVENTS.name, after, upto, len(events))
        after = upto


def _read_events(chain: int, seq: int, payload: str) -> list[dict[str, Any]]:
    try:
        return list(events_of(chain, seq, payload))
    except UNREADABLE:
        _LOG.error("The group %d of the audit trail's chain %d cannot be read as events.", seq, chain)
        return []
