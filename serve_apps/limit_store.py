"""The limits that replicas share, in Postgres: asked in batches, under digests, on a connection of their own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection

from receipts.database import hang_up
from receipts.sql import load_sql
from serve_apps.gcra import Grant, Quota

log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "limit_store")
_ANSWER_S = 0.5  # a request may wait for it; beyond it a replica goes by its own share
_REST_S = 1.0  # how long a store that failed is left alone
_DIGEST_BYTES = 16

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]


class StoreDown(Exception):
    """The store of the limits does not answer."""


class Asked(NamedTuple):
    """Tokens wanted of one key; fewer than 0 are given back."""

    key: bytes
    quota: Quota
    wanted: int


class LimitStore:
    """Asks one question at a time, and none for a second after one that failed."""

    def __init__(self, connect: Connect, pepper: bytes) -> None:
        """Take the secret that all replicas share: it keeps addresses from being guessed from their digests."""
        self.holders = 1  # processes that share the limits, as last told
        self._connect = connect
        self._pepper = hashlib.sha256(b"limits" + pepper).digest()
        self._holder = uuid4()
        self._connection: AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()
        self._down_until = 0.0
        self._is_down = False

    @property
    def is_up(self) -> bool:
        """Say whether the last question was answered."""
        return not self._is_down

    def key(self, kind: str, name: str) -> bytes:
        """Return the digest under which something is counted."""
        text = f"{kind}\n{name}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._pepper, digest_size=_DIGEST_BYTES).digest()

    async def lease(self, asked: Sequence[Asked]) -> dict[bytes, Grant]:
        """Take tokens for different keys; also a sign of life, when none is asked for. Raises StoreDown."""
        rows = await self._ask(
            _SQL["lease"],
            {
                "holder": self._holder,
                "keys": [one.key for one in asked],
                "wanted": [one.wanted for one in asked],
                "intervals_ns": [one.quota.interval_ns for one in asked],
                "bursts": [one.quota.burst for one in asked],
            },
        )
        self.holders = max(rows[-1][3], 1)
        return {key: Grant(tokens, wait_ns) for key, tokens, wait_ns, _ in rows[:-1]}

    async def count_customers(self, principal: bytes, customers: Sequence[bytes], cap: int) -> tuple[bool, float]:
        """Count customers a principal has not seen within the hour, all or none; see the function. Raises StoreDown."""
        wanted = {"principal": principal, "customers": list(customers), "cap": cap}
        ((fits, seconds),) = await self._ask(_SQL["count_customers"], wanted)
        return fits, seconds

    async def aclose(self) -> None:
        """Let go of the connection, once what is asked on it has ended; who asks later opens another one."""
        async with self._turn:
            await self._hang_up()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _ask(self, statement: LiteralString, parameters: Mapping[str, object]) -> list[Any]:
        """Ask in a task of its own: a request that goes away must leave no answer for the next one to read."""
        return await asyncio.shield(asyncio.create_task(self._ask_in_turn(statement, parameters)))

    async def _ask_in_turn(self, statement: LiteralString, parameters: Mapping[str, object]) -> list[Any]:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._turn.acquire()
        except TimeoutError:
            raise StoreDown from None
        try:
            if asyncio.get_running_loop().time() < self._down_until:
                raise StoreDown
            rows = await self._ask_now(statement, parameters)
        except (psycopg.Error, TimeoutError, OSError) as error:
            self._down_until = asyncio.get_running_loop().time() + _REST_S
            self._tell(error)
            await self._hang_up()
            raise StoreDown from None
        finally:
            self._turn.release()
        self._tell(None)
        return rows

    async def _ask_now(self, statement: LiteralString, parameters: Mapping[str, object]) -> list[Any]:
        if self._connection is None or self._connection.closed:
            async with asyncio.timeout(_ANSWER_S):
                self._connection = await self._connect()
        overdue = asyncio.get_running_loop().call_later(_ANSWER_S, hang_up, self._connection)
        try:
            cursor = await self._connection.execute(statement, parameters, prepare=True, binary=True)
            return await cursor.fetchall()
        finally:
            overdue.cancel()

    def _tell(self, error: Exception | None) -> None:
        """Log when the store goes and when it comes back, once each."""
        if error is not None and not self._is_down:
            what = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
            log.warning("The store of the limits does not answer (%s): reads go by this replica's share.", what)
        elif error is None and self._is_down:
            log.warning("The store of the limits answers again: they are shared.")
        self._is_down = error is not None
