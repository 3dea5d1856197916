"""What a group's payload tells, event by event: the one reading of it outside Postgres."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

_DAY_BITS = 32  # a chain's number begins with the days since 1970
_FIRST_DAY = date(1970, 1, 1)
# What an event consists of beside its id and instant, as audit.events has it; texts first.
_TEXTS = ("principal_id", "role", "session_id", "route", "outcome", "purpose", "client_address", "request_id")
_LISTS = ("receipt_ids", "customer_ids")
UNREADABLE = (ValueError, KeyError, TypeError, ArithmeticError, RecursionError)  # what a payload of no events raises
COLUMNS = ("event_id", "occurred_at", "status", "constraints", *_TEXTS, *_LISTS)


class Place(NamedTuple):
    """Where an event stands in the trail."""

    chain: int
    seq: int
    place: int

    @property
    def event_id(self) -> str:
        """Return the id that audit.project() gives the event there: an MD5 read as a UUID."""
        made = hashlib.md5(f"{self.chain}:{self.seq}:{self.place}".encode(), usedforsecurity=False).hexdigest()
        return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


def day_of(chain: int) -> date:
    """Return the day on which a chain was opened."""
    return _FIRST_DAY + timedelta(days=chain >> _DAY_BITS)


def first_chain(day: date) -> int:
    """Return what the numbers of a day's chains begin at."""
    return (day - _FIRST_DAY).days << _DAY_BITS


def digest_of(previous: bytes, payload: str) -> bytes:
    """Return the digest that a group must have."""
    return hashlib.sha256(previous + payload.encode()).digest()


def events_of(chain: int, seq: int, payload: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a group as rows of audit.events, as audit.project() takes them apart.

    Raises one of UNREADABLE for a payload that is no array of events.
    """
    constrained = '"constraints"' in payload
    told = json.loads(payload, parse_float=_number) if constrained else orjson.loads(payload)
    for number, event in enumerate(told, 1):
        place = Place(chain, seq, number)
        constraints = _written(event["constraints"]) if constrained and "constraints" in event else ""
        row: dict[str, Any] = {
            "chain": chain,
            "seq": seq,
            "place": number,
            "event_id": place.event_id,
            "occurred_at": datetime.fromisoformat(event["occurred_at"]).astimezone(UTC),
            "status": int(event["status"]),
            "constraints": constraints,
        }
        for name in _TEXTS:
            row[name] = event[name]
        for name in _LISTS:
            row[name] = [str(each) for each in event.get(name) or ()]
        yield row


def content_of(row: Mapping[str, Any]) -> bytes:
    """Return a digest of all that an event says: its instant in UTC, its constraints as `rewritten` has them."""
    return hashlib.sha256(orjson.dumps([row[name] for name in COLUMNS])).digest()


def rewritten(constraints: str) -> str:
    """Return constraints, as Postgres writes JSON, as events of groups have them. Raises ValueError for no JSON."""
    return _written(json.loads(constraints, parse_float=_number)) if constraints else ""


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _number(text: str) -> int | float | str:
    """Read a number that may be written in several ways: 1e3 and 1000.0 are 1000, as in Postgres.

    One with more digits than a float holds stays text: no replica wrote it.
    """
    exact, number = Decimal(text), float(text)
    if exact == exact.to_integral_value():
        return int(exact)
    return number if Decimal(repr(number)) == exact else text
