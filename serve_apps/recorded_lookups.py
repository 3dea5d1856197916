"""Receipts by id, found and put on record in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.pq.abc import PGresult

from receipts.sql import load_sql
from serve_apps.audit_chain import Answer, ChainLane
from serve_apps.coalescer import Asked, Coalescer
from serve_apps.line import Connect

_SQL = load_sql("serve_apps", "lookup")
_LANES = 3  # side by side in a quiet hour; under load one does the work of all
_MOST_WAITING = 1_024  # lookups a replica lets wait; beyond it an early refusal serves everyone better


class FoundReceipt(NamedTuple):
    """The answer's body as the database renders it, and whose receipt it is."""

    body: bytes
    customer_id: str | None


RecordedLookups = Coalescer[FoundReceipt]


def recorded_lookups(connect: Connect) -> RecordedLookups:
    """Return what finds receipts: by scope handle, receipt id, and the event so far without its closing brace.

    A look is durable in the audit trail when `find` returns, also one that found nothing. The event lacks what came of
    it: outcome, status, receipt and customer ids are the database's to say.
    """
    lanes = [ChainLane(connect, _Find()) for _ in range(_LANES)]
    return Coalescer(lanes, _MOST_WAITING, "Too many lookups are waiting; try again shortly.")


class _Find:
    statement = _SQL["find_receipts_on_record"]

    def parameters(self, group: str, batch: Sequence[Asked]) -> list[bytes]:
        ids = ",".join([asked.key for asked in batch])
        return [group.encode(), ids.encode(), b"\n".join([asked.event for asked in batch])]

    def read(self, result: PGresult) -> Answer[FoundReceipt]:
        last = result.ntuples - 1
        found: dict[str, FoundReceipt] = {}
        for row in range(last):
            key, body, customer = result.get_value(row, 0), result.get_value(row, 1), result.get_value(row, 2)
            if key is not None and body is not None:
                found[key.decode()] = FoundReceipt(body, customer.decode() if customer is not None else None)
        return Answer(result.get_value(last, 3), found)
