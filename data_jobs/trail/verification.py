"""The whole audit trail verified: anchors, chains, searchable events and what retention took, in this order."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import NamedTuple

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from configs.settings import Settings
from data_jobs.tables import audit_events
from data_jobs.trail.anchor_verification import Heads, verify_anchors
from data_jobs.trail.anchoring import last_number
from data_jobs.trail.chain_verification import ChainRules, verify_chains
from data_jobs.trail.event_verification import Span, Tally, Told, read_lake, read_postgres, verify_events
from data_jobs.trail.evidence import Evidence, chains_between
from data_jobs.trail.faults import Broken, Verdict
from data_jobs.trail.lake_groups import GROUPS, read_position
from data_jobs.trail.place import AnchorPlace
from data_jobs.trail.telling import content_of, events_of
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of

_BEFORE, _AFTER = timedelta(days=3), timedelta(days=2)  # a chain takes events of its day and the next, clocks differ
_YEARS = 7  # nothing younger may be gone for good, whoever says so
_EVER = Span(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_EVENTS = audit_events.TABLE
_EVERY = 2**63  # position
_AT_ONCE = 1_000  # groups between two steps of progress


@dataclass(frozen=True, slots=True)
class Scope:
    """What is verified: events of the days [since, until], all where none is given, and whose anchors are believed."""

    trusted: Mapping[str, Ed25519PublicKey]
    place: AnchorPlace | None = None
    since: date | None = None
    until: date | None = None

    @property
    def span(self) -> Span:
        """Return the days as instants."""
        since = _EVER.since if self.since is None else datetime.combine(self.since, time(), UTC)
        until = _EVER.until if self.until is None else datetime.combine(self.until + timedelta(days=1), time(), UTC)
        return Span(since, until)


class Step(NamedTuple):
    """Some of the work done: how much more of how much, which is 0 where it is not known."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Trail:
    """What one verification reads: a snapshot of Postgres, and the lake as far as it was before that."""

    lake: Lake
    evidence: Evidence
    scope: Scope
    span: Span
    taken_apart: int  # the last position whose events the lake holds
    verdict: Verdict = field(default_factory=Verdict)


def verify(settings: Settings, scope: Scope) -> Generator[Step, None, Verdict]:
    """Verify the trail as it is now, yielding as it goes; returns what was found, broken or not."""
    lake = lake_of(settings)
    anchored = last_number(lake)  # before the rest: what an anchor covers is then in what is read
    taken_apart, copied = read_position(lake, _EVENTS), read_position(lake, GROUPS)
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        trail = _open(lake, connection, scope, copied, taken_apart)
        try:
            yield from _verify(trail, anchored)
        except Broken as broken:
            trail.verdict.broken = broken
        connection.rollback()
    trail.verdict.notes += _unprovable(trail)
    return trail.verdict


def _open(
    lake: Lake, connection: psycopg.Connection[tuple[object, ...]], scope: Scope, copied: int, taken_apart: int
) -> _Trail:
    """Leave out what has expired, and take in the chains that may hold events of the first and the last day."""
    span = scope.span
    low, high = chains_between(
        None if scope.since is None else scope.since - _BEFORE,
        None if scope.until is None else scope.until + _AFTER,
    )
    evidence = Evidence(lake, connection, low, high, copied)
    verdict = Verdict()
    for month, what, _, _ in evidence.retirements():
        verdict.retired.append(f"{month:%Y-%m} ({'its groups in Postgres' if what == 'spool' else 'all of it'})")
        if what == "month":
            following = (month + timedelta(days=31)).replace(day=1)
            evidence = replace(evidence, low=max(evidence.low, chains_between(following, None)[0]))
            span = Span(max(span.since, datetime.combine(following, time(), UTC) + _AFTER), span.until)
    return _Trail(lake, evidence, scope, span, taken_apart, verdict)


def _verify(trail: _Trail, anchored: int) -> Iterator[Step]:
    lake, evidence, verdict = trail.lake, trail.evidence, trail.verdict
    heads = Heads(evidence.low, evidence.high)
    for number in verify_anchors(lake, trail.scope, heads, verdict, anchored):
        yield Step("anchors", number, anchored)
    for name, reached in ((GROUPS.name, evidence.copied), (_EVENTS.name, trail.taken_apart)):
        if reached < verdict.anchored_position:  # both are written before what they hold is anchored
            raise Broken(f"the lake's {name} ends at position {reached}; anchors cover {verdict.anchored_position}")
    in_postgres, in_lake = Tally(trail.span), Tally(trail.span)
    yield from _walk(trail, heads, in_postgres, in_lake)
    stored = {
        "Postgres": ("audit.events", in_postgres, _EVERY, partial(read_postgres, evidence.connection)),
        "the lake": ("the lake's audit.events", in_lake, trail.taken_apart, partial(_read_lake, trail)),
    }
    for place, (where, expected, upto, read) in stored.items():
        for number in verify_events(where, expected, partial(_again, trail, upto), read):
            yield Step(f"events in {place}", number, verdict.events)
    _verify_retirements(evidence)


def _walk(trail: _Trail, heads: Heads, in_postgres: Tally, in_lake: Tally) -> Iterator[Step]:
    """Verify the chains, and tally the events that both searchable tables must hold."""
    evidence, verdict = trail.evidence, trail.verdict
    retired = frozenset(month for month, _, _, _ in evidence.retirements())
    counts = evidence.count()
    total, since_step = sum(counts.values()), 0
    for group, events in verify_chains(ChainRules(evidence, heads.by_chain, retired), counts, verdict):
        verdict.events += len(events)
        if group.position is not None:
            tallies = (in_postgres, in_lake) if group.position <= trail.taken_apart else (in_postgres,)
            for event in events:
                content = content_of(event)
                for tally in tallies:
                    tally.add(event, content)
        since_step += 1
        if since_step == _AT_ONCE:
            yield Step("groups", since_step, total)
            since_step = 0
    yield Step("groups", since_step, total)


def _read_lake(trail: _Trail, span: Span) -> Iterator[Told]:
    return read_lake(trail.lake, trail.evidence.low, trail.evidence.high, trail.taken_apart, span)


def _again(trail: _Trail, upto: int, span: Span) -> Iterator[Told]:
    """Read the events of a short span out of their groups once more."""
    low, high = chains_between(span.since.date() - _BEFORE, span.until.date() + _AFTER)
    near = replace(trail.evidence, low=max(low, trail.evidence.low), high=min(high, trail.evidence.high))
    for pair in near.walk(near.count()):
        group = pair.group
        if group.position is not None and group.position <= upto:
            for event in events_of(group.chain, group.seq, group.payload):
                if span.holds(event):
                    yield event


def _verify_retirements(evidence: Evidence) -> None:
    """See that what left is on record in the trail itself, and was let go only when it might."""
    for month, what, chain, seq in evidence.retirements():
        if what == "month" and datetime.now(UTC).date() < month.replace(year=month.year + _YEARS):
            raise Broken(f"{month:%Y-%m} is said to have expired, and is not {_YEARS} years old")
        if chain < evidence.low or chain >= evidence.high:
            continue
        pair = evidence.find(chain, seq)
        events = list(events_of(chain, seq, pair.group.payload)) if pair is not None else []
        said = json.loads(events[0]["constraints"] or "{}") if len(events) == 1 else {}
        if (said.get("month"), said.get("what")) != (f"{month:%Y-%m}", what):
            raise Broken(f"{month:%Y-%m} left Postgres, and the trail does not say so", chain=chain, seq=seq)


def _unprovable(trail: _Trail) -> list[str]:
    """Say what a trail that holds together still cannot prove."""
    verdict, notes = trail.verdict, list[str]()
    if verdict.unanchored_groups:
        notes.append(
            f"{verdict.unanchored_events:,} events in {verdict.unanchored_groups:,} groups are younger than the last "
            "anchor: cut off from the end of their chains, they would not be missed."
        )
    if trail.scope.place is None:
        notes.append(
            "Anchors were read in the lake only. Who rules lake and Postgres could take the last ones away, and what "
            "they cover; a second place (--anchors) shows that."
        )
    notes.append("A look that was never put on record, and a principal who never asked, leave nothing to verify.")
    return notes
