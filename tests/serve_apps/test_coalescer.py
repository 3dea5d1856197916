"""Many lookups, one query."""

import asyncio
import itertools
from contextlib import asynccontextmanager, nullcontext

import pytest

from receipts.access import Principal, Role
from receipts.errors import Unavailable
from serve_apps.coalescer import Coalescer

EAST = Principal("rep.east", Role.CS_REP, "east")
WEST = Principal("rep.west", Role.CS_REP, "west")


class Store:
    """A source that answers what it is asked, notes each query, and waits while it is held."""

    def __init__(self):
        self.queries = []
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def fetch(self, _, principal, keys):
        self.queries.append((principal.scope_id, sorted(keys)))
        self.asked.set()
        await self.free.wait()
        return {key: f"{principal.scope_id}:{key}" for key in keys if not key.startswith("missing")}


async def test_a_lone_lookup_is_asked_at_once():
    store = Store()
    assert await Coalescer(nullcontext, store.fetch).find(EAST, "1") == "east:1"
    assert store.queries == [("east", ["1"])]


async def test_lookups_that_arrive_together_share_a_query_and_each_gets_its_own():
    store = Store()
    coalescer = Coalescer(nullcontext, store.fetch)
    keys = [str(number) for number in range(100)] + ["7", "missing"]
    answers = await asyncio.gather(*(coalescer.find(EAST, key) for key in keys))
    assert answers == [f"east:{key}" for key in keys[:-1]] + [None]
    assert len(store.queries) == 1


async def test_lookups_that_arrive_during_a_query_share_the_next_one():
    store = Store()
    store.free.clear()
    coalescer = Coalescer(nullcontext, store.fetch)
    first = asyncio.create_task(coalescer.find(EAST, "1"))
    await store.asked.wait()
    more = [asyncio.create_task(coalescer.find(EAST, key)) for key in ("2", "3")]
    await asyncio.sleep(0)
    store.free.set()
    assert await asyncio.gather(first, *more) == ["east:1", "east:2", "east:3"]
    assert store.queries == [("east", ["1"]), ("east", ["2", "3"])]


async def test_two_scopes_never_share_a_query():
    store = Store()
    coalescer = Coalescer(nullcontext, store.fetch)
    answers = await asyncio.gather(*(coalescer.find(who, str(i)) for i in range(50) for who in (EAST, WEST)))
    assert answers == [f"{scope}:{i}" for i in range(50) for scope in ("east", "west")]
    assert sorted(scope for scope, _ in store.queries) == ["east", "west"]


async def test_a_request_that_goes_away_leaves_the_others_their_answers():
    store = Store()
    store.free.clear()
    coalescer = Coalescer(nullcontext, store.fetch)
    gone = asyncio.create_task(coalescer.find(EAST, "1"))
    stays = asyncio.create_task(coalescer.find(EAST, "1"))
    await store.asked.wait()
    gone.cancel()
    store.free.set()
    assert await stays == "east:1"


async def test_a_failed_query_fails_its_own_lookups_and_no_later_one():
    failures = [OSError("gone")]

    async def fetch(_, principal, keys):
        if failures:
            raise failures.pop()
        return dict.fromkeys(keys, "found")

    coalescer = Coalescer(nullcontext, fetch)
    both = await asyncio.gather(coalescer.find(EAST, "1"), coalescer.find(EAST, "2"), return_exceptions=True)
    assert [type(one) for one in both] == [OSError, OSError]
    assert await coalescer.find(EAST, "1") == "found"


async def test_a_full_queue_refuses_instead_of_waiting():
    store = Store()
    store.free.clear()
    coalescer = Coalescer(nullcontext, store.fetch, most_waiting=2)
    waiting = [asyncio.create_task(coalescer.find(EAST, key)) for key in ("1", "2")]
    await store.asked.wait()
    with pytest.raises(Unavailable):
        await coalescer.find(EAST, "3")
    store.free.set()
    assert await asyncio.gather(*waiting) == ["east:1", "east:2"]
    assert await coalescer.find(EAST, "3") == "east:3"


async def test_a_busy_scope_lets_go_of_its_source_now_and_then():
    store, opened = Store(), []

    @asynccontextmanager
    async def source():
        opened.append(len(store.queries))
        yield

    coalescer = Coalescer(source, store.fetch)

    async def ask_again_and_again(key):
        for _ in range(40):
            await coalescer.find(EAST, key)

    await asyncio.gather(ask_again_and_again("1"), ask_again_and_again("2"))
    assert len(store.queries) >= 40
    assert len(opened) > 1
    assert max(b - a for a, b in itertools.pairwise(opened)) <= 16


async def test_a_source_that_cannot_be_opened_fails_those_who_wait_and_no_later_one():
    store, failures = Store(), [OSError("no connection")]

    @asynccontextmanager
    async def source():
        if failures:
            raise failures.pop()
        yield

    coalescer = Coalescer(source, store.fetch)
    with pytest.raises(OSError, match="no connection"):
        await coalescer.find(EAST, "1")
    assert await coalescer.find(EAST, "1") == "east:1"
