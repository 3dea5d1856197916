"""Many concurrent lookups, one query: requests of one scope that arrive while a query runs share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Generic, TypeVar

from receipts.access import Principal
from receipts.errors import Unavailable

_BATCH = 256  # ids in one query: beyond it latency grows and throughput does not
_BATCHES_A_HOLD = 16  # queries on one connection before another scope may have it
_MOST_WAITING = 1_024  # lookups a replica lets wait; beyond it an early refusal serves everyone better

Found = TypeVar("Found")
Source = TypeVar("Source")
Open = Callable[[], AbstractAsyncContextManager[Source]]
Fetch = Callable[[Source, Principal, Sequence[str]], Awaitable[Mapping[str, Found]]]


class Coalescer(Generic[Source, Found]):
    """Keeps one queue per scope, so that no query ever runs for two scopes.

    An idle scope is queried at once; there is no timer. `fetch` gets what `open_source` opens, the principal of the
    first request and distinct ids, and returns what it found by id.
    """

    def __init__(
        self, open_source: Open[Source], fetch: Fetch[Source, Found], most_waiting: int = _MOST_WAITING
    ) -> None:
        self._open = open_source
        self._fetch = fetch
        self._most_waiting = most_waiting
        self._waiting: dict[str, dict[str, list[asyncio.Future[Found | None]]]] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, principal: Principal, key: str) -> Found | None:
        """Return what a principal's scope holds under a key, or None. Raises Unavailable when too many wait."""
        if self._count >= self._most_waiting:
            raise Unavailable("Too many lookups are waiting; try again shortly.")
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(principal.scope_id)
        if queue is None:
            queue = self._waiting[principal.scope_id] = {}
            task = asyncio.create_task(self._drain(principal))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        queue.setdefault(key, []).append(answer)
        self._count += 1
        try:
            return await answer
        finally:
            self._count -= 1

    async def _drain(self, principal: Principal) -> None:
        """Query for one scope until nobody of it waits."""
        queue = self._waiting[principal.scope_id]
        while queue:
            batch = _next_batch(queue)
            try:
                async with self._open() as source:
                    left = _BATCHES_A_HOLD
                    while batch:
                        found = await self._fetch(source, principal, list(batch))
                        _settle(batch, lambda answer, key, found=found: answer.set_result(found.get(key)))
                        left -= 1
                        batch = _next_batch(queue) if left else {}
            except Exception as error:  # noqa: BLE001 - every waiter gets the failure and answers it as its own
                _settle(batch, lambda answer, _key, error=error: answer.set_exception(error))
        del self._waiting[principal.scope_id]


def _next_batch(queue: dict[str, list[asyncio.Future[Found | None]]]) -> dict[str, list[asyncio.Future[Found | None]]]:
    return {key: queue.pop(key) for key in list(islice(queue, _BATCH))}


def _settle(
    batch: Mapping[str, list[asyncio.Future[Found | None]]],
    settle: Callable[[asyncio.Future[Found | None], str], None],
) -> None:
    for key, answers in batch.items():
        for answer in answers:
            if not answer.done():  # its request may have gone away
                settle(answer, key)
