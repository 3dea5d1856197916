"""The audit trail's writer: events of many requests in one row, and nobody answered before its commit."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection

from receipts.errors import Unavailable
from receipts.sql import load_sql

log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "audit")
_BATCH = 256  # events in one row: beyond it a commit takes longer without carrying more per second
_MOST_WAITING = 4_096  # events a replica holds back; beyond it the trail is too slow to answer at all
_WRITE_S = 5.0  # a write that takes longer counts as failed
_ATTEMPTS = 2  # the second one on a new connection, or on a new chain: a group that is there already changes nothing
_CHAIN_S = 43_200.0  # the database takes nothing for a chain that is older than yesterday

AuditEvent = dict[str, Any]  # as `audit.event_of` makes it


@dataclass(slots=True)  # not frozen: it grows with every group
class _Chain:
    """Where a chain ends: the last group that is durable, and the digest that the next one covers."""

    number: int
    head: bytes
    opened: float
    seq: int = 0


class AuditWriter:
    """Groups the events of one replica. While one group commits, the next one gathers.

    Groups are rows of a chain: each covers the digest of the one before, so that none can be changed or taken out
    unseen. A group whose fate is unknown ends its chain, and the next one begins another.
    """

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]]) -> None:
        self._connect = connect
        self._connection: AsyncConnection[Any] | None = None  # kept: asking a pool for it costs as much as a write
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._chain: _Chain | None = None

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is durable. Raises Unavailable when it cannot be made so.

        One that cannot be written as JSON raises here, in its own request, and holds up nobody else's.
        """
        written = orjson.dumps(event)
        if len(self._waiting) >= _MOST_WAITING:
            raise Unavailable("The audit trail cannot keep up; try again shortly.")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((written, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def aclose(self) -> None:
        """Let go of the connection; the next event opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                failure = await self._write(b"[" + b",".join(event for event, _ in group) + b"]")
                for _, done in group:
                    if done.done():  # its request went away meanwhile
                        continue
                    if failure is None:
                        done.set_result(None)
                    else:
                        done.set_exception(failure)
        finally:
            self._flusher = None

    async def _write(self, payload: bytes) -> Unavailable | None:
        """Append a group; return why it is not durable, or None."""
        problem = "another group stands in its place"
        for _ in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_WRITE_S):
                    if self._connection is None:
                        self._connection = await self._connect()
                    if await self._append(self._connection, payload):
                        return None
                    self._chain = None
            except (psycopg.Error, TimeoutError) as error:
                problem = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
                await self.aclose()
        self._chain = None
        log.error("%d bytes of audit events could not be written: %s", len(payload), problem)
        return Unavailable("The audit trail cannot be written, and nothing is answered without it; try again shortly.")

    async def _append(self, connection: AsyncConnection[Any], payload: bytes) -> bool:
        """Say whether the group is durable as the next one of the chain."""
        if self._chain is None or time.monotonic() - self._chain.opened > _CHAIN_S:
            opened = await (await connection.execute(_SQL["open_chain"])).fetchone()
            assert opened is not None
            self._chain = _Chain(opened[0], opened[1], time.monotonic())
        chain = self._chain
        digest = hashlib.sha256(chain.head + payload).digest()
        group = (chain.number, chain.seq + 1, chain.head, digest, payload.decode())
        answer = await (await connection.execute(_SQL["append"], group, prepare=True)).fetchone()
        assert answer is not None
        if answer[0]:
            chain.seq, chain.head = chain.seq + 1, digest
        return bool(answer[0])
