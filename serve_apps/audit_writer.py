"""The audit trail's writer: events of many requests in one insert, and nobody answered before its commit."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from receipts.errors import Unavailable
from receipts.sql import load_sql

log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "audit")
_BATCH = 256  # events in one insert: beyond it a commit takes longer without carrying more per second
_MOST_WAITING = 4_096  # events a replica holds back; beyond it the trail is too slow to answer at all
_CONNECTION_S = 2.0  # wait for the trail's connection
_WRITE_S = 5.0  # a write that takes longer counts as failed
_ATTEMPTS = 2  # the second one opens a new connection; a repeated event has the same key and is ignored


class AuditEvent(NamedTuple):
    """One row of the trail, in the order of `record_events`."""

    event_id: UUID
    occurred_at: datetime
    principal_id: str
    role: str
    session_id: str
    route: str
    outcome: str
    status: int
    receipt_ids: str  # parted by commas: arrays of arrays cannot be unnested
    customer_ids: str
    purpose: str
    constraints: str
    client_address: str
    request_id: str


class AuditWriter:
    """Groups the events of one replica. While one group commits, the next one gathers."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._waiting: deque[tuple[AuditEvent, asyncio.Future[None]]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is durable. Raises Unavailable when it cannot be made so."""
        if len(self._waiting) >= _MOST_WAITING:
            raise Unavailable("The audit trail cannot keep up; try again shortly.")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group = list(islice(self._waiting, _BATCH))
                for _ in group:
                    self._waiting.popleft()
                failure = await self._write([event for event, _ in group])
                for _, done in group:
                    if done.done():  # its request went away meanwhile
                        continue
                    if failure is None:
                        done.set_result(None)
                    else:
                        done.set_exception(failure)
        finally:
            self._flusher = None

    async def _write(self, events: list[AuditEvent]) -> Unavailable | None:
        """Insert a group; return why it is not durable, or None."""
        columns = [list(column) for column in zip(*events, strict=True)]
        problem = ""
        for _ in range(_ATTEMPTS):
            try:
                async with (
                    asyncio.timeout(_WRITE_S),
                    self._pool.connection(timeout=_CONNECTION_S) as connection,
                    connection.pipeline(),
                    connection.transaction(),
                ):
                    await connection.execute(_SQL["record_events"], columns, prepare=True)
            except (psycopg.Error, TimeoutError) as error:
                problem = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
            else:
                return None
        log.error("%d audit events could not be written: %s", len(events), problem)
        return Unavailable("The audit trail cannot be written, and nothing is answered without it; try again shortly.")
