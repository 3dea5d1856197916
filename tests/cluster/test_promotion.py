"""Another server becomes the primary: nothing acknowledged is lost, writers go on, and the old one never comes back."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Awaitable, Iterator
from typing import Self

import psycopg
import pytest

from cluster import parts, postgres, postgres_server, promotion, standbys
from cluster.errors import PlatformError
from cluster.postgres_home import find_home
from cluster.replication import FOLLOWS, decide
from configs.settings import Settings
from ingest.link import Link
from ingest.outbox_way import OutboxWay
from ingest.records import StorePlace
from ingest.validation import Origin, parse, place
from receipts import bronze
from receipts.database import DatabaseRole, open_pool
from receipts.postgres_servers import Servers, read_servers
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.standbys import home, kill, replicated, superuser

_sequence = itertools.count(1)  # of all writers: a receipt that is there already would be acked without a commit
PATIENCE_S = 60  # for what happens within seconds on a machine that has nothing else to do


@pytest.fixture(scope="module")
def platform() -> Iterator[Settings]:
    """A platform with a store and two standbys. Its tests hand the primary on, one after the other."""
    with replicated(2) as settings:
        store_rows(settings, stores=[make_store()])
        yield settings


class Writer:
    """A gateway's way into Postgres and a replica's pool, at work without a pause in a thread of their own."""

    def __init__(self, settings: Settings) -> None:
        self.acked: list[str] = []
        self.answered = 0
        self._settings = settings
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        self.await_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def await_more(self) -> None:
        """Wait until more is acknowledged and answered than is now."""
        acked, answered = len(self.acked) + 20, self.answered + 20
        for _ in range(PATIENCE_S * 20):
            if len(self.acked) >= acked and self.answered >= answered:
                return
            self._ended.wait(0.05)
        raise AssertionError(f"{len(self.acked)} of {acked} acks, {self.answered} of {answered} answers")

    async def _run(self) -> None:
        await asyncio.gather(self._write(), self._read())

    async def _write(self) -> None:
        link = Link(self._settings)
        way = OutboxWay(link)
        numbering = await way.numbering()
        while not self._ended.is_set():
            receipt = make_receipt(sequence_number=next(_sequence))
            (record,) = numbering.number([_incoming(receipt)])
            while not await self._done(way.write([record])):  # noqa: ASYNC110  # tried again, as the gateway does
                await asyncio.sleep(0.05)
            self.acked.append(receipt.receipt_id)
        await link.close()

    async def _read(self) -> None:
        async with open_pool(self._settings, DatabaseRole.API, autocommit=True) as pool:
            while not self._ended.is_set():
                self.answered += await self._done(self._ask(pool))

    async def _ask(self, pool) -> None:
        async with pool.connection(timeout=1) as connection:
            await connection.execute("SELECT count(*) FROM retail.stores")

    async def _done(self, work: Awaitable[object]) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            await work
            return True
        return False


def _incoming(receipt):
    origin = Origin(bronze.RECEIPTS.name, "test", receipt.purchased_at)
    stores = {367: StorePlace(1, "America/New_York")}
    return place(parse(receipt.canonical().encode(), origin, max_bytes=1_000_000), stores, origin)


def stored(settings: Settings) -> set[str]:
    with superuser(settings) as owner:
        return {receipt_id for (receipt_id,) in owner.execute("SELECT receipt_id FROM retail.receipts")}


def roles(settings: Settings) -> dict[str, str]:
    return {one.name: f"{one.role} {one.state}" for one in standbys.list_servers(settings)}


def test_a_primary_that_lives_is_not_replaced_unasked(platform: Settings):
    with pytest.raises(PlatformError, match=r"postgres lives.*--switchover"):
        promotion.promote(platform)


def test_a_switchover_loses_nothing_and_the_old_primary_follows(platform: Settings):
    with Writer(platform) as writer:
        done = promotion.promote(platform, "replica2", switchover=True)
        assert (done.primary, done.before, done.waits_for_quorum) == ("replica2", "postgres", True)
        writer.await_more()
    assert set(writer.acked) <= stored(platform)
    assert roles(platform) == {
        "replica2": "primary running",
        "replica1": "standby streaming",
        "postgres": "standby streaming",
    }


def test_no_acked_receipt_is_lost_when_the_primary_is_killed_and_writers_go_on(platform: Settings):
    servers = read_servers(platform)
    with Writer(platform) as writer:
        behind = next(one for one in servers.standbys if one.name == "replica1")
        postgres_server.stop(home(platform, behind))  # lacks what the other has, which a quorum of one allows
        writer.await_more()
        kill(platform, servers.primary)
        with pytest.raises(PlatformError, match="postgres received more than replica1"):
            promotion.promote(platform, "replica1")
        done = promotion.promote(platform)
        assert (done.primary, done.before, done.waits_for_quorum) == ("postgres", "replica2", False)
        writer.await_more()
    assert set(writer.acked) <= stored(platform)
    assert roles(platform) == {
        "postgres": "primary running",
        "replica1": "standby streaming",
        "replica2": "fenced down",
    }


def test_a_fenced_primary_starts_as_none_whoever_starts_it_and_rejoins(platform: Settings):
    fenced = next(one for one in read_servers(platform).others if one.fenced)
    place_of_it = home(platform, fenced)
    parts.prepare_database(platform)
    postgres.start(platform)
    assert roles(platform)[fenced.name] == "fenced down"
    postgres_server.start(place_of_it, fenced.port)  # as by hand, with pg_ctl
    with superuser(platform, fenced) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE public.split (n integer)")
    with pytest.raises(PlatformError, match="is fenced"):
        promotion.promote(platform, fenced.name)
    assert standbys.rejoin(platform, fenced.name) == "rewound"
    assert set(roles(platform).values()) == {"primary running", "standby streaming"}


def test_a_promotion_that_was_interrupted_is_finished_by_the_next_start(platform: Settings):
    servers = read_servers(platform)
    chosen, *rest = servers.standbys
    first = home(platform, servers.primary)
    postgres_server.stop(first)
    postgres_server.write_owned(first, first.data / FOLLOWS, "")
    decide(platform, find_home(platform), Servers(chosen, (*rest, servers.primary)))
    postgres.start(platform)
    assert roles(platform)[chosen.name] == "primary running"
    for standby in read_servers(platform).standbys:
        standbys.await_following(platform, standby)
