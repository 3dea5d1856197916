"""The audit trail's writer: events of many requests in one row, and nobody answered before its commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg.pq.abc import PGresult

from receipts.errors import Unavailable
from receipts.sql import load_sql
from serve_apps.audit_chain import UNWRITABLE, Answer, ChainLane
from serve_apps.coalescer import Asked, Coalescer
from serve_apps.line import Connect

_SQL = load_sql("serve_apps", "audit")
_LANES = 2  # the second one for the quiet hour: an event need not wait until another one is durable
_MOST_WAITING = 4_096  # events a replica holds back; beyond it the trail is too slow to answer at all

AuditEvent = dict[str, Any]  # as `audit.event_of` makes it


class AuditWriter:
    """Makes the events of one replica durable, in groups."""

    def __init__(self, connect: Connect) -> None:
        self.events: Coalescer[None] = Coalescer(
            [ChainLane(connect, _Append()) for _ in range(_LANES)],
            _MOST_WAITING,
            "The audit trail cannot keep up; try again shortly.",
        )

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is durable. Raises Unavailable when it cannot be made so.

        One that cannot be written as JSON raises here, in its own request, and holds up nobody else's.
        """
        written = orjson.dumps(event)
        try:
            await self.events.find("", "", written)
        except Unavailable:
            raise
        except Exception as error:
            raise Unavailable(UNWRITABLE) from error

    async def aclose(self) -> None:
        """Let go of the connections; the next event opens another one."""
        await self.events.aclose()


class _Append:
    """Appends whole events and finds nothing."""

    statement = _SQL["extend"]

    def parameters(self, group: str, batch: Sequence[Asked]) -> list[bytes]:  # noqa: ARG002 - events are of no group
        return [b"[" + b",".join(asked.event for asked in batch) + b"]"]

    def read(self, result: PGresult) -> Answer[None]:
        return Answer(result.get_value(0, 0), {})
