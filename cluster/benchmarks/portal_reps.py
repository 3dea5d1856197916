"""Reps who are signed in to the portal, and how they work: each a person of their own, thinking between two events."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import uvloop

from cluster.api_client import access_token
from cluster.benchmarks.portal_visitor import Event, Visitor
from cluster.load_people import make_kit
from configs.settings import Settings
from gradio_ui.sessions import Session, record_session
from loadtest.choosing import phrase
from loadtest.targets import Target
from receipts.access import Role
from receipts.database import DatabaseRole, open_pool

_LASTS = timedelta(hours=1)  # longer than any run
_SAMPLE = 2_000


@dataclass(slots=True)
class Rep:
    """Somebody at a desk: the cookie of the session, and memories of shoppers within the own regions."""

    name: str
    cookie: str
    targets: Sequence[Target]
    source: random.Random = field(default_factory=random.Random)

    def memories(self) -> Iterator[str]:
        """Yield sentences of shoppers for ever."""
        while True:
            yield phrase(self.source.choice(self.targets), self.source)

    def visitor(self, settings: Settings) -> Visitor:
        """Return a browser of theirs."""
        return Visitor(settings, {cookie_name(settings): self.cookie})


def cookie_name(settings: Settings) -> str:
    """Return what the portal calls the cookie of a session."""
    return "__Host-receipts" if settings.portal.is_https else "receipts_session"


def sign_in(settings: Settings, count: int) -> list[Rep]:
    """Enter so many people and open a session for each, with a token of the platform's own."""
    kit = make_kit(settings, count, _SAMPLE, _LASTS)
    people = [(one.client_id, kit.sample.within(one.region_ids), access_token(settings, one.client_id))
              for one in kit.people]  # fmt: skip
    cookies = asyncio.run(_record(settings, [(name, token) for name, _, token in people]))
    return [
        Rep(name, cookie, targets, random.Random(name))  # noqa: S311  the same sentences in every run
        for (name, targets, _), cookie in zip(people, cookies, strict=True)
    ]


async def _record(settings: Settings, tokens: Sequence[tuple[str, str]]) -> list[str]:
    until = datetime.now(UTC) + _LASTS
    async with open_pool(settings, DatabaseRole.PORTAL) as pool:
        return [await record_session(pool, Session(name, Role.CS_REP, name, token, until)) for name, token in tokens]


def one_by_one(
    settings: Settings, reps: Sequence[Rep], searches: int, meter: Callable[[], Mapping[str, float]]
) -> tuple[list[Event], dict[str, float]]:
    """Let reps search one after another, each so often; return what came of it, and what the meter grew by meanwhile.

    Their pages are open before.
    """

    async def work() -> tuple[list[Event], dict[str, float]]:
        visitors = [rep.visitor(settings) for rep in reps]
        for visitor in visitors:
            await visitor.open_page()
        before = meter()
        for rep, visitor in zip(reps, visitors, strict=True):
            for text in islice(rep.memories(), searches):
                await visitor.search(text)
        grown = {kind: now - before[kind] for kind, now in meter().items()}
        for visitor in visitors:
            visitor.close()
        return [event for visitor in visitors for event in visitor.events], grown

    return uvloop.run(work())


def together(settings: Settings, reps: Sequence[Rep], think_s: float, seconds: float) -> tuple[list[Event], float]:
    """Let all reps work for a time, thinking before each event; return what came of it, and when all had begun."""
    ramp_s = min(3 * think_s, seconds)

    async def work(rep: Rep, end: float) -> list[Event]:
        await asyncio.sleep(rep.source.uniform(0, ramp_s))
        visitor, memories = rep.visitor(settings), rep.memories()
        listed: list[str] = []
        await visitor.open_page()
        while (wait_s := rep.source.expovariate(1 / think_s)) < end - time.perf_counter():
            await asyncio.sleep(wait_s)
            if listed:
                await visitor.open_receipt(listed[0])
                listed = []
            else:
                listed = await visitor.search(next(memories))
        visitor.close()
        return visitor.events

    async def work_all() -> tuple[list[Event], float]:
        begun = time.perf_counter() + ramp_s
        each = await asyncio.gather(*(work(rep, begun + seconds) for rep in reps))
        return [event for events in each for event in events], begun

    return uvloop.run(work_all())
