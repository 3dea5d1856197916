"""Searchable events held against the groups they were taken out of, in the memory of a few sums.

Of each hour the digests of its events are added up on both sides; where the sums of an hour differ, it is read again by
the second, and of the first second that differs every event. A sum of SHA-256 digests modulo 2^256 does not depend on
the order, and an event that comes twice does not cancel itself out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg
from psycopg.rows import dict_row

from data_jobs.tables import audit_events
from data_jobs.trail.faults import Broken
from data_jobs.trail.lake_groups import files_within
from data_jobs.trail.telling import COLUMNS, content_of, rewritten
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs.trail", "verification")
_MODULUS = 2**256
_HOUR_S, _SECOND_S = 3_600, 1
_FETCHED = 2_000  # events at a time

Told = Mapping[str, Any]  # an event; one out of a group tells also chain, seq and place
Read = Callable[["Span"], Iterable[Told]]


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, without its end."""

    since: datetime
    until: datetime

    def holds(self, event: Told) -> bool:
        """Say whether an event occurred in it."""
        return bool(self.since <= event["occurred_at"] < self.until)


@dataclass(slots=True)  # not frozen: events are added
class Tally:
    """How many events occurred in each hour or second of a span, and the sum of their digests."""

    span: Span
    width_s: int = _HOUR_S
    sums: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, event: Told, content: bytes) -> None:
        """Count an event, if it is in the span."""
        if self.span.holds(event):
            window = int(event["occurred_at"].timestamp()) // self.width_s
            number, total = self.sums.get(window, (0, 0))
            self.sums[window] = (number + 1, (total + int.from_bytes(content)) % _MODULUS)

    def first_difference(self, other: Tally) -> Span | None:
        """Return the first window whose events differ."""
        differ = [window for window in {*self.sums, *other.sums} if self.sums.get(window) != other.sums.get(window)]
        if not differ:
            return None
        since = datetime.fromtimestamp(min(differ) * self.width_s, UTC)
        return Span(max(since, self.span.since), min(since + timedelta(seconds=self.width_s), self.span.until))


def verify_events(where: str, expected: Tally, again: Read, stored: Read) -> Iterator[int]:
    """Hold stored events against the groups' tally, yielding their number at times. Raises Broken at the first.

    `again` reads the groups' events of a span once more, which is done only where something differs.
    """
    found, number = Tally(expected.span), 0
    for event in stored(expected.span):
        found.add(event, _content(event))
        number += 1
        if number % _FETCHED == 0:
            yield _FETCHED
    yield number % _FETCHED
    hour = expected.first_difference(found)
    if hour is None:
        return
    second = _tally(again, hour).first_difference(_tally(stored, hour))
    assert second is not None, "two hours that differ do so in a second"
    raise _first_fault(where, list(again(second)), list(stored(second)))


def read_postgres(connection: psycopg.Connection[tuple[Any, ...]], span: Span) -> Iterator[Told]:
    """Yield the events of a span that are searched in Postgres."""
    limits = {"since": span.since, "until": span.until}
    with connection.cursor("audit_events", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCHED
        for event in cursor.execute(_SQL["list_events"], limits):
            event["occurred_at"] = event["occurred_at"].astimezone(UTC)
            with suppress(ValueError):  # it stays what no group can have told
                event["constraints"] = rewritten(event["constraints"])
            yield event


def read_lake(lake: Lake, low: int, high: int, upto: int, span: Span) -> Iterator[Told]:
    """Yield the events of a span that are searched in the lake, of the chains [low, high) up to a position."""
    table = audit_events.TABLE
    if not lake.exists(table.name):
        return
    inside = (pl.col("occurred_at") >= span.since) & (pl.col("occurred_at") < span.until)
    inside &= (pl.col("chain") >= low) & (pl.col("chain") < high) & (pl.col("position") <= upto)
    for uri, _ in files_within(lake, table, [("chain", low, high)]):
        rows = pl.scan_parquet(uri, storage_options=dict(lake.storage_options), hive_partitioning=False)
        for part in rows.filter(inside).select(COLUMNS).collect(engine="in-memory").iter_slices(_FETCHED):
            yield from part.iter_rows(named=True)


def _tally(read: Read, span: Span) -> Tally:
    tally = Tally(span, _SECOND_S)
    for event in read(span):
        tally.add(event, _content(event))
    return tally


def _content(event: Told) -> bytes:
    try:
        return content_of(event)
    except (ValueError, TypeError):  # as nothing that was written could be
        return b"\xff" * 32


def _first_fault(where: str, expected: list[Told], stored: list[Told]) -> Broken:
    """Name the first event of a second that is not as its group tells it."""
    held: dict[str, list[Told]] = {}
    for event in stored:
        held.setdefault(event["event_id"], []).append(event)
    for event in sorted(expected, key=lambda each: (each["chain"], each["seq"], each["place"])):
        found = held.pop(event["event_id"], [])
        named = {"chain": event["chain"], "seq": event["seq"], "event_id": event["event_id"]}
        if not found:
            return Broken(f"is gone from {where}, or stands there at another instant", **named)
        if len(found) > 1:
            return Broken(f"stands in {where} more than once", **named)
        if _content(found[0]) != _content(event):
            names = ", ".join(name for name in COLUMNS if found[0][name] != event[name])
            return Broken(f"was changed in {where}: {names}", **named)
    event_id, (extra, *_) = min(held.items())
    at = extra["occurred_at"].astimezone(UTC).isoformat()
    return Broken(f"stands in {where} at {at}, where no group puts it", event_id=event_id)
