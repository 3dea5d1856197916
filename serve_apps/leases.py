"""Shared limits at the price of a look into a dict: tokens are leased from the store ahead of their use.

What all replicas together admit for one key in t seconds is at most

    burst + rate * (t + 2 turns) + replicas * credit

because the store gives burst + rate * t, what it gave is used within two turns or ends, and each replica may be
`credit` requests ahead of the store, so that a first request waits for nobody. Without the store a replica admits its
own share, one part in as many as shared the limits when the store last answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from serve_apps.gcra import Buckets, Grant, Quota
from serve_apps.limit_store import Asked, LimitStore, StoreDown

log = logging.getLogger(__name__)
TURN_S = 0.25  # a lease is for one turn and what is left of it for another one
_IDLE_S = 10.0  # how often a replica that needs no tokens tells that it shares the limits all the same
_AGAIN_NS = 20_000_000  # a key that got nothing is not asked for again sooner, however fast its tokens come back
_MOST_ASKED = 1_000  # keys in one question to the store; the others wait for the next one
_MOST_SLICES = 20_000  # beyond it new keys, as a flood from many addresses makes them, go by this replica's share
_MOST_OWN = 100_000  # buckets of this replica's own


@dataclass(slots=True, eq=False)  # not frozen: it changes with every request
class _Slice:
    """What a replica holds of one key's tokens."""

    key: bytes
    quota: Quota
    floor: int  # how far below 0 `tokens` may go: the credit, as a negative number
    tokens: int = 0
    at_turn: int = 0  # the tokens at the last turn and those given since: less `tokens`, what was used
    stale: int = 0  # tokens that were left over at the last turn already
    refused_until: int = 0  # ns; before it the store has nothing
    waiting: deque[asyncio.Future[int]] = field(default_factory=deque)  # requests that the store must answer first

    @property
    def used(self) -> int:
        """Return how many tokens this turn took so far."""
        return self.at_turn - self.tokens


class Leases:
    """The slices of one replica, filled by `keep`, which runs for as long as the replica lives."""

    def __init__(self, store: LimitStore, credit: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Take the clock, in nanoseconds, that shares and refusals are measured by."""
        self._store = store
        self._credit = credit
        self._clock = clock
        self._slices: dict[Hashable, _Slice] = {}
        self._hungry: set[_Slice] = set()  # those that requests wait for
        self._own = Buckets(_MOST_OWN)
        self._urgent = asyncio.Event()
        self._told = 0  # ns; when the store was last asked

    def take_at_once(self, name: Hashable) -> bool:
        """Take a token if one is here; the way of nearly every request."""
        slice_ = self._slices.get(name)
        if slice_ is None or slice_.tokens <= slice_.floor:
            return False
        slice_.tokens -= 1
        return True

    async def take(self, name: Hashable, kind: str, text: str, quota: Quota) -> int:
        """Take a token, if need be when the store has answered; return 0, or after how many ns to ask again.

        The store counts by `kind` and `text`; `name` stands for both in this process.
        """
        slice_ = self._slices.get(name)
        if slice_ is None:
            if len(self._slices) >= _MOST_SLICES:
                return self.take_own(name, quota)
            floor = -min(self._credit, quota.burst)
            slice_ = self._slices[name] = _Slice(self._store.key(kind, text), quota, floor)
            if len(self._slices) == 1:
                self._urgent.set()  # `keep` rests for longer while there is none
        if slice_.tokens > slice_.floor:
            slice_.tokens -= 1
            return 0
        wait_ns = slice_.refused_until - self._clock()
        if wait_ns > 0:
            return wait_ns + _AGAIN_NS
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        slice_.waiting.append(answer)
        self._hungry.add(slice_)
        self._urgent.set()
        return await answer

    def take_own(self, name: Hashable, quota: Quota, tokens: int = 1) -> int:
        """Take all these tokens of this replica's own share, without the store, or none; return as `take` does."""
        share, now = quota.share(self._store.holders), self._clock()
        grant = self._own.take(name, share, now, tokens)
        if grant.granted == tokens:
            return 0
        self._own.take(name, share, now, -grant.granted)
        return grant.wait_ns + (tokens - grant.granted - 1) * share.interval_ns

    async def keep(self) -> None:
        """Exchange tokens with the store every turn, and at once when somebody waits. Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(last + (TURN_S if self._slices else _IDLE_S)):
                    await self._urgent.wait()
            self._urgent.clear()
            is_turn = loop.time() >= last + TURN_S
            if is_turn:
                last = loop.time()
            try:
                await self._exchange(is_turn)
            except Exception as error:  # noqa: BLE001 - whatever failed, those that wait are told and the rest goes on
                log.error("Leases failed: %s", type(error).__name__)  # noqa: TRY400 - a trace may quote a key
                for slice_ in list(self._slices.values()):
                    _answer(slice_, _AGAIN_NS)

    async def _exchange(self, is_turn: bool) -> None:
        """Ask the store for what the next turn needs, or only for what requests wait for."""
        wanted = self._turns() if is_turn else {}
        for slice_ in self._hungry:
            grown = len(slice_.waiting) + max(slice_.used, self._credit)  # twice as many each time, within a turn
            wanted[slice_] = max(wanted.get(slice_, 0), grown)
        self._hungry.clear()
        if not wanted and self._clock() < self._told + int(_IDLE_S * 1e9):
            return
        asked = dict(islice(sorted(wanted.items(), key=lambda one: not one[0].waiting), _MOST_ASKED))
        grants = await self._lease([Asked(one.key, one.quota, tokens) for one, tokens in asked.items()])
        for slice_, tokens in asked.items():
            self._give(slice_, tokens, grants[slice_.key])
        self._hungry.update(slice_ for slice_ in wanted if slice_.waiting)
        if self._hungry:  # they came after the question, or it was too long for them
            self._urgent.set()

    def _turns(self) -> dict[_Slice, int]:
        """End a turn for every key: forget those that nobody asks for any more, and return what the others need."""
        wanted: dict[_Slice, int] = {}
        for name, slice_ in list(self._slices.items()):
            needed = self._turn(slice_)
            if needed:
                wanted[slice_] = needed
            elif slice_.tokens == 0 and not slice_.waiting:
                del self._slices[name]
        return wanted

    def _turn(self, slice_: _Slice) -> int:
        """End what was left unused for two turns, and return how many tokens the next turn needs."""
        used = slice_.used
        slice_.tokens -= max(slice_.stale - used, 0)  # the oldest are used first
        slice_.at_turn, slice_.stale = slice_.tokens, max(slice_.tokens, 0)
        expected = used + used // 4 if used > self._credit else 0  # the credit is enough for a few
        return max(expected - slice_.tokens, 0)

    def _give(self, slice_: _Slice, wanted: int, grant: Grant) -> None:
        slice_.tokens += grant.granted
        slice_.at_turn += grant.granted
        while slice_.waiting and slice_.tokens > slice_.floor:
            first = slice_.waiting.popleft()
            if not first.done():  # else its request has gone away
                slice_.tokens -= 1
                first.set_result(0)
        if grant.granted < wanted:
            wait_ns = max(grant.wait_ns, _AGAIN_NS)
            slice_.refused_until = self._clock() + wait_ns
            _answer(slice_, wait_ns + _AGAIN_NS)  # a turn just before then may put it off by so much

    async def _lease(self, asked: list[Asked]) -> dict[bytes, Grant]:
        self._told = self._clock()
        try:
            return await self._store.lease(asked)
        except StoreDown:
            now, parts = self._clock(), self._store.holders
            return {one.key: self._own.take(one.key, one.quota.share(parts), now, one.wanted) for one in asked}


def _answer(slice_: _Slice, wait_ns: int) -> None:
    """Tell all that wait for a token when to ask again."""
    while slice_.waiting:
        first = slice_.waiting.popleft()
        if not first.done():
            first.set_result(wait_ns)
