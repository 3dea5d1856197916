"""Many concurrent requests, few questions: those of one group that arrive together are asked together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from receipts.errors import Unavailable
from serve_apps.journey import Waiting, waiting
from serve_apps.meters import QuestionMeter

_BATCH = 256  # requests in one question: beyond it latency grows and throughput does not
_FEW = 2  # a question that carries no more tells of a quiet hour, in which another may run beside it
_DEADLINE_S = 2.0  # nobody on the phone waits for longer; who asks again is better off elsewhere
_SWEEP_S = 0.25  # how often it is looked who waits for too long

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)
_Answer = asyncio.Future[Any]  # of what was found or None


class Asked(NamedTuple):
    """One request: the key it asks for, what its audit event says so far, and its trace where it has one."""

    key: str
    event: bytes
    waiting: Waiting | None = None


class Lane(Protocol[Found_co]):
    """Where questions are asked, one at a time."""

    def ask(
        self, group: str, batch: Sequence[Asked], done: Callable[[Mapping[str, Found_co] | Exception], None]
    ) -> None:
        """Ask for a batch of one group, and call `done` once, later, with what was found by key, or the failure."""
        ...

    async def warm(self) -> None:
        """Get ready for the first question, if that can be done now."""
        ...

    async def aclose(self) -> None:
        """Let go of whatever the lane holds."""
        ...


class _Waiting(NamedTuple):
    asked: Asked
    answer: _Answer


class Coalescer(Generic[Found]):
    """Keeps one queue per group, so that no question is ever asked for two groups, such as two access scopes.

    An idle lane asks at the end of the event loop's turn; there is no timer. In a quiet hour questions run side by
    side, so that nobody waits for another's commit; under load one carries all that gathered meanwhile, which costs
    least. A request that goes away leaves the queue, and one that waits for too long is refused.
    """

    def __init__(self, lanes: Sequence[Lane[Found]], most_waiting: int, refusal: str) -> None:
        """Take the lanes, how many requests may wait, and what those beyond it are told."""
        self.meter = QuestionMeter()
        self.lanes = tuple(lanes)
        self._idle = list(lanes)
        self._most_waiting = most_waiting
        self._refusal = refusal
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._since: dict[_Answer, float] = {}  # those without an answer, the oldest first
        self._last = 0  # how many the last question carried
        self._starting = False
        self._sweeping = False

    @property
    def waiting(self) -> int:
        """Return how many requests have no answer yet."""
        return len(self._since)

    @property
    def busy(self) -> int:
        """Return on how many lanes a question is under way."""
        return len(self.lanes) - len(self._idle)

    async def find(self, group: str, key: str, event: bytes = b"") -> Found | None:
        """Return what a group holds under a key, or None. Raises Unavailable when too many wait, or for too long."""
        if len(self._since) >= self._most_waiting:
            self.meter.overflowed += 1
            raise Unavailable(self._refusal)
        loop = asyncio.get_running_loop()
        answer: _Answer = loop.create_future()
        queue = self._queues.get(group)
        if queue is None:
            queue = self._queues[group] = deque()
        queue.append(_Waiting(Asked(key, event, waiting()), answer))
        self._since[answer] = loop.time()
        if not self._starting:
            self._starting = True
            loop.call_soon(self._start)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(_SWEEP_S, self._sweep)
        try:
            return await answer
        finally:
            del self._since[answer]

    async def warm(self) -> None:
        """Let the lane that is asked first get ready: a new replica's first request would have to wait for it."""
        await self._idle[-1].warm()

    async def aclose(self) -> None:
        """Refuse those that wait and close the lanes; who asks later opens them again."""
        waiting, self._queues = self._queues, OrderedDict()
        for queue in waiting.values():
            for _, answer in queue:
                if not answer.done():
                    answer.set_exception(Unavailable("The replica is shutting down; try again."))
        for lane in self.lanes:
            await lane.aclose()

    def _start(self) -> None:
        """Ask for what waits, on as many lanes as are worth it."""
        self._starting = False
        while self._queues and self._idle and (len(self._idle) == len(self.lanes) or self._last <= _FEW):
            group, queue = self._queues.popitem(last=False)
            batch: list[_Waiting] = []
            while queue and len(batch) < _BATCH:
                one = queue.popleft()
                if not one.answer.done():  # else its request has gone away
                    batch.append(one)
            if queue:
                self._queues[group] = queue  # behind the other groups
            if batch:
                lane = self._idle.pop()
                self._last = len(batch)
                asked_at = self._count(batch)
                lane.ask(group, [one.asked for one in batch], partial(self._settle, lane, batch, asked_at))

    def _count(self, batch: Sequence[_Waiting]) -> float:
        """Count a question that is about to be asked; return when that is."""
        now, waited = asyncio.get_running_loop().time(), self.meter.waited
        for one in batch:
            waited.add(now - self._since[one.answer])
        self.meter.sizes.add(len(batch))
        return now

    def _settle(
        self,
        lane: Lane[Found],
        batch: Sequence[_Waiting],
        asked_at: float,
        outcome: Mapping[str, Found] | Exception,
    ) -> None:
        self.meter.asked.add(asyncio.get_running_loop().time() - asked_at, len(batch))
        failed = isinstance(outcome, Exception)
        for asked, answer in batch:
            if answer.done():
                continue
            if failed:
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome.get(asked.key))
        self._idle.append(lane)
        self._start()

    def _sweep(self) -> None:
        """Refuse those that have waited for too long, and look again while anybody waits."""
        loop = asyncio.get_running_loop()
        latest = loop.time() - _DEADLINE_S
        for answer, since in self._since.items():
            if since > latest:
                break
            if not answer.done():
                self.meter.overdue += 1
                answer.set_exception(Unavailable("The database did not answer in time; try again shortly."))
        self._sweeping = bool(self._since)
        if self._sweeping:
            loop.call_later(_SWEEP_S, self._sweep)
