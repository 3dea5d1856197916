"""Replicas that share a limit through a real Postgres, and what they do without it."""

import asyncio
import threading
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import partial

import psycopg
import pytest

from receipts.database import DatabaseRole, connect, open_connection
from serve_apps.gcra import Quota
from serve_apps.leases import TURN_S, Leases
from serve_apps.limit_store import Asked, LimitStore, StoreDown
from tests.fixtures.tcp_proxy import through

CREDIT = 5
QUOTA = Quota("requests", 100, 1, 100)
PATIENCE_S = 20.0


@asynccontextmanager
async def replica(settings, credit=CREDIT):
    store = LimitStore(partial(open_connection, settings, DatabaseRole.API), b"pepper")
    leases = Leases(store, credit)
    keeper = asyncio.create_task(leases.keep())
    try:
        yield leases
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await store.aclose()


async def admits(leases: Leases, name: str, quota: Quota = QUOTA) -> bool:
    return leases.take_at_once(name) or await leases.take(name, "principal", name, quota) == 0


async def admitted_of(leases: Leases, requests: int, name: str, quota: Quota) -> int:
    return sum(await asyncio.gather(*(admits(leases, name, quota) for _ in range(requests))))


async def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.02)


async def test_four_competing_replicas_together_never_give_more_than_the_bound(settings):
    given: Counter[str] = Counter()
    names = [f"person-{number}" for number in range(5)]

    async def press(leases: Leases, ends: float) -> None:
        while time.monotonic() < ends:
            for name in names:
                given[name] += await admits(leases, name)
            await asyncio.sleep(0)

    async with (
        replica(settings) as one, replica(settings) as two, replica(settings) as three, replica(settings) as four,
    ):  # fmt: skip
        begin = time.monotonic()
        await asyncio.gather(*(press(leases, begin + 4) for leases in (one, two, three, four)))
        took = time.monotonic() - begin
    for name in names:
        assert QUOTA.burst <= given[name] <= QUOTA.burst + QUOTA.count * (took + 2 * TURN_S) + 4 * CREDIT


async def test_a_burst_at_once_is_admitted_whole_and_nothing_beyond_it(settings):
    slow = Quota("requests", 1, 3_600, 200)
    async with replica(settings) as leases:
        assert await admitted_of(leases, 400, "rep", slow) == 200 + CREDIT


async def test_what_one_replica_has_used_another_cannot_use_again(settings):
    slow = Quota("requests", 1, 3_600, 20)
    async with replica(settings) as one, replica(settings) as two:
        assert await admitted_of(one, 50, "rep", slow) == 20 + CREDIT
        assert await admitted_of(two, 50, "rep", slow) == CREDIT
        assert await admitted_of(two, 50, "another", slow) == 20 + CREDIT


async def test_the_first_requests_wait_for_nobody_and_are_settled_afterwards(settings, owner):
    slow = Quota("requests", 1, 3_600, 20)
    async with replica(settings) as leases:
        first = leases.take("rep", "principal", "rep", slow)
        with pytest.raises(StopIteration) as ended:
            first.send(None)  # it ends without ever giving control away
        assert ended.value.value == 0

        async def settled():
            row = owner.execute("SELECT (full_at - extract(epoch FROM now()) * 1e9) / interval_ns FROM limits.buckets")
            return [round(used) for (used,) in row.fetchall()] == [1]

        await until(settled)


async def test_a_refused_caller_is_told_when_and_is_admitted_then(settings):
    quick = Quota("requests", 4, 1, 4)
    async with replica(settings) as leases:
        assert await admitted_of(leases, 30, "rep", quick) >= 4 + 4  # a credit is no more than a burst
        waits = [await leases.take("rep", "principal", "rep", quick) for _ in range(10)]
        wait_ns = max(waits)
        assert 0 < wait_ns <= quick.interval_ns + 20_000_000
        await asyncio.sleep(wait_ns / 1e9)
        assert await admits(leases, "rep", quick)


async def test_tokens_that_nobody_uses_end_and_their_key_is_forgotten(settings):
    async with replica(settings) as leases:
        await admitted_of(leases, 60, "rep", QUOTA)

        async def forgotten():
            return not leases.take_at_once("rep")  # neither token nor credit: nothing is known of the key

        await until(forgotten)


async def test_without_the_store_a_replica_gives_its_share_and_returns_to_the_whole_afterwards(
    settings, postgres_proxy, owner, caplog
):
    slow = Quota("requests", 1, 3_600, 40)
    cut_off = through(settings, postgres_proxy)
    async with replica(settings) as other, replica(cut_off) as leases:
        for one in (other, leases):
            await admits(one, "warm", slow)

        async def both_share():
            return owner.execute("SELECT count(*) FROM limits.holders").fetchone() == (2,)

        await until(both_share)
        await admitted_of(leases, 10, "warm", slow)  # whose answer tells of both
        postgres_proxy.cut()
        assert await admitted_of(leases, 100, "rep", slow) == 40 // 2 + CREDIT
        assert await admitted_of(other, 100, "rep", slow) == 40 + CREDIT
        postgres_proxy.restore()

        async def is_back():
            return "answers again" in caplog.text or not await admits(leases, f"x{time.monotonic()}", slow)

        await until(is_back)
        assert "answers again" in caplog.text
        assert await admitted_of(leases, 100, "third", slow) == 40 + CREDIT


async def test_a_store_that_hangs_delays_one_question_and_then_nobody(settings, owner):
    slow = Quota("requests", 1, 3_600, 20)
    async with replica(settings) as leases:
        await admits(leases, "warm", slow)
        with psycopg.connect(owner.info.dsn, password=owner.info.password) as locking:
            locking.execute("LOCK TABLE limits.buckets IN ACCESS EXCLUSIVE MODE")
            assert await admitted_of(leases, 60, "rep", slow) == 20 + CREDIT  # nobody else was known to share


async def test_a_network_that_swallows_everything_holds_nobody_up(settings, postgres_proxy, caplog):
    slow = Quota("requests", 1, 3_600, 20)
    async with replica(through(settings, postgres_proxy)) as leases:
        await admitted_of(leases, 10, "warm", slow)
        postgres_proxy.freeze()
        async with asyncio.timeout(PATIENCE_S):
            assert await admitted_of(leases, 60, "rep", slow) == 20 + CREDIT
        postgres_proxy.restore()

        async def is_back():
            await admitted_of(leases, 10, f"x{time.monotonic()}", slow)
            return "answers again" in caplog.text

        await until(is_back)


async def test_a_request_that_goes_away_leaves_no_answer_to_the_next_one(settings):
    store = LimitStore(partial(open_connection, settings, DatabaseRole.API), b"pepper")
    for number in range(20):
        gone = asyncio.create_task(store.lease([Asked(store.key("principal", f"gone-{number}"), QUOTA, 1)]))
        for _ in range(number):
            await asyncio.sleep(0)
        gone.cancel()
        key = store.key("principal", f"stays-{number}")
        assert (await store.lease([Asked(key, QUOTA, number + 1)]))[key].granted == number + 1
        with suppress(asyncio.CancelledError):
            await gone
    await store.aclose()


async def test_keys_are_digests_and_hostile_questions_are_refused(settings, owner):
    store = LimitStore(partial(open_connection, settings, DatabaseRole.API), b"pepper")
    other = LimitStore(partial(open_connection, settings, DatabaseRole.API), b"another pepper")
    key = store.key("address", "203.0.113.9")
    assert key != other.key("address", "203.0.113.9")
    assert key != store.key("principal", "203.0.113.9")
    await store.lease([Asked(key, QUOTA, 3)])
    assert owner.execute("SELECT key, granted FROM limits.buckets").fetchall() == [(key, 3)]
    for bad in (Asked(b"203.0.113.9", QUOTA, 1), Asked(key, QUOTA, -101), Asked(key, QUOTA, 2_000_000)):
        with pytest.raises(StoreDown):
            await LimitStore(partial(open_connection, settings, DatabaseRole.API), b"pepper").lease([bad])
    await store.aclose()
    with connect(settings, DatabaseRole.API) as connection:
        for statement in (
            "SELECT * FROM limits.buckets", "DELETE FROM limits.buckets", "TRUNCATE limits.customers",
            "INSERT INTO limits.holders VALUES (gen_random_uuid(), now())",
            "SELECT limits.take(0, 0, 1, 1, 1)",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute("SELECT * FROM limits.lease(gen_random_uuid(), %s, '{1}', '{0}', '{1}')", ([key],))
        connection.rollback()
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute(
                "SELECT * FROM limits.lease(gen_random_uuid(), %s, '{1,NULL}', '{1,1}', '{1}')", ([key],)
            )


async def test_a_call_does_not_wait_for_the_disk_and_sweeps_what_is_full_again(settings, owner):
    store = LimitStore(partial(open_connection, settings, DatabaseRole.API), b"pepper")
    past = "INSERT INTO limits.buckets VALUES (decode(md5(%s), 'hex'), 0, 1, 1, 1)"
    for number in range(5):
        owner.execute(past, (str(number),))
    owner.execute("INSERT INTO limits.holders VALUES (gen_random_uuid(), now() - interval '1 minute')")
    pair = (
        "INSERT INTO limits.customers VALUES (decode(md5('p'), 'hex'), decode(md5('c'), 'hex'), now() - %s::interval)"
    )
    owner.execute(pair, ("61 minutes",))
    await store.lease([Asked(store.key("principal", "rep"), QUOTA, 1)])
    await store.aclose()
    assert store.holders == 1
    counts = "SELECT (SELECT count(*) FROM limits.buckets), (SELECT count(*) FROM limits.customers)"
    assert owner.execute(counts).fetchone() == (1, 0)
    with owner.transaction():
        owner.execute("SELECT limits.lease(gen_random_uuid(), '{}', '{}', '{}', '{}')")
        assert owner.execute("SHOW synchronous_commit").fetchone() == ("off",)
    unlogged = owner.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'limits'::regnamespace AND relkind = 'r'"
        " AND relpersistence <> 'u'"
    )
    assert unlogged.fetchone() == (0,)


def test_replicas_that_take_the_same_keys_in_opposite_order_never_lock_in_a_circle(settings):
    keys = [bytes([number]) * 16 for number in range(100)]
    failures: list[psycopg.Error] = []

    def press(order):
        with connect(settings, DatabaseRole.API) as connection:
            connection.autocommit = True
            for _ in range(60):
                try:
                    connection.execute(
                        "SELECT count(*) FROM limits.lease(gen_random_uuid(), %s, %s, %s, %s)",
                        (order, [1] * 100, [1_000] * 100, [10] * 100),
                    )
                except psycopg.Error as error:
                    failures.append(error)

    runs = [threading.Thread(target=press, args=(order,)) for order in (keys, keys[::-1], keys, keys[::-1])]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert failures == []


async def test_a_store_that_is_closed_while_it_connects_leaves_no_connection_open(settings):
    opened, asked_for = [], asyncio.Event()

    async def slowly():
        asked_for.set()
        opened.append(await open_connection(settings, DatabaseRole.API))
        return opened[-1]

    store = LimitStore(slowly, b"pepper")
    asking = asyncio.create_task(store.lease([]))
    await asked_for.wait()
    asking.cancel()  # its request goes away, the question is asked to its end
    await store.aclose()
    assert [connection.closed for connection in opened] == [True]
