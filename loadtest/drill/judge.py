"""Whether every answer kept the promises: on record exactly once and truly, and nothing across scopes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from configs.settings import Settings
from loadtest.drill.answers import Answer, End, Kind
from receipts.breach import Breach
from receipts.database import DatabaseRole, connect
from receipts.errors import InvalidInput
from receipts.identity import natural_key, parse_receipt_id
from receipts.sql import load_sql

_SQL = load_sql("loadtest.drill", "record")
_EXAMPLES = 5

Event = Mapping[str, Any]  # as a replica writes it


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the questions ended, how many looks are on record that nobody had an answer to, and what is wrong."""

    counts: Mapping[str, int]
    breaches: tuple[Breach, ...]


def read_events(settings: Settings, since: date) -> list[Event]:
    """Return the events of the audit trail from the evidence itself, of all chains that were open since a day."""
    events: list[Event] = []
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        for (payload,) in connection.execute(_SQL["list_groups"], {"since": since}):
            with suppress(ValueError):  # `receipts audit verify` names those that cannot be read
                events += json.loads(str(payload))
    return events


def judge(answers: Sequence[Answer], events: Iterable[Event], store_regions: Mapping[int, int]) -> Verdict:
    """Hold all answers against the trail and against what each caller may see; `store_regions` is by store.

    An event without an answer is no breach: the look may have happened, and its answer was lost on the way.
    """
    ours = [one for one in answers if one.end is End.ANSWERED and one.request_id]
    heard, askers = {one.request_id for one in ours}, {one.asker.principal_id for one in answers}
    on_record: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["request_id"] in heard or event["principal_id"] in askers:
            on_record[event["request_id"]].append(event)
    found = [*_on_record(ours, on_record), *_in_scope(answers, store_regions), *_true(answers)]
    counts = {
        "asked": len(answers),
        "answered": len(ours),
        "of a proxy": sum(one.end is End.ANSWERED and not one.request_id for one in answers),
        "unknown": sum(one.end in {End.CUT, End.LATE, End.HUNG_UP} for one in answers),
        "unheard": sum(one.end is End.REFUSED for one in answers),
        "on record without an answer": sum(len(told) for name, told in on_record.items() if name not in heard),
    }
    return Verdict(counts, tuple(breach for breach in found if breach.count))


def _on_record(ours: Sequence[Answer], on_record: Mapping[str, Sequence[Event]]) -> Iterator[Breach]:
    """Look for what was found or not found; that a database was away need not be on record, and may."""
    looks = [one for one in ours if one.is_good]
    told = [(one, on_record.get(one.request_id, ())) for one in looks]
    numbers = Counter(one.request_id for one in ours)
    yield _breach("answers share a number with another one", [one for one in ours if numbers[one.request_id] > 1])
    yield _breach("were answered and are not on record", [one for one, events in told if not events])
    yield _breach("are on record more than once", [one for one, events in told if len(events) > 1])
    other = [one for one, events in told if any(not _tells(e, one) for e in events)]
    yield _breach("are on record as another look than they were", other)


def _tells(event: Event, one: Answer) -> bool:
    """Say whether an event tells of this answer: who, what, and what came of it."""
    named = event["receipt_ids"] if one.subject.kind is Kind.RECEIPT else event["customer_ids"]
    return bool(
        event["principal_id"] == one.asker.principal_id
        and event["status"] == one.status
        and one.subject.name in named
        and set(one.shown) <= set(event["receipt_ids"])
    )


def _in_scope(answers: Sequence[Answer], store_regions: Mapping[int, int]) -> Iterator[Breach]:
    """Look at whatever came with 200, also from a proxy."""
    seen = [one for one in answers if one.end is End.ANSWERED and one.status == 200]
    across = [
        one
        for one in seen
        if not one.asker.sees(one.subject.region_ids)
        or any(not one.asker.sees(_regions_of(receipt, store_regions)) for receipt in one.shown)
    ]
    yield _breach("showed what lies outside of the caller's regions", across)


def _true(answers: Sequence[Answer]) -> Iterator[Breach]:
    """Look for answers that say what is not so."""
    seen = [one for one in answers if one.end is End.ANSWERED and one.status == 200]
    yield _breach("came from nobody known", [one for one in seen if not one.request_id])
    other = [one for one in seen if one.subject.kind is Kind.RECEIPT and one.shown != (one.subject.name,)]
    yield _breach("showed another receipt than was asked for", other)
    missed = [one for one in answers if one.is_good and one.status == 404 and one.asker.sees(one.subject.region_ids)]
    yield _breach("were not found though the caller may see them", missed)


def _regions_of(receipt_id: str, store_regions: Mapping[int, int]) -> frozenset[int]:
    """Return the region of a receipt; of one that cannot be there, none."""
    with suppress(InvalidInput, KeyError):
        return frozenset({store_regions[natural_key(parse_receipt_id(receipt_id)).store_id]})
    return frozenset()


def _breach(what: str, answers: Sequence[Answer]) -> Breach:
    examples = [
        f"{one.request_id or 'no number'} ({one.asker.principal_id} asked for {one.subject.kind} {one.subject.name})"
        for one in answers[:_EXAMPLES]
    ]
    return Breach(what, len(answers), tuple(examples))
