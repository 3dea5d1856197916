"""Postgres or Bronze goes away under a running gateway: what is acknowledged is held, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import psycopg
import pytest

from configs.settings import Settings
from ingest.drainer import drain
from ingest.server import running
from receipts.lake import lake_of
from tests.fixtures.retail import make_receipt, make_store
from tests.fixtures.tcp_proxy import TcpProxy, through
from tests.ingest.till_double import STORES, Conversation, batch, connected, open_stream, record, serving, streaming

_DEADLINE_S = 60


@pytest.fixture
def shaky_shop(open_shop: Settings, postgres_proxy: TcpProxy) -> Settings:
    """Settings of a shop whose gateway reaches Postgres through a line that can be cut, and waits briefly for it."""
    shop = through(open_shop, postgres_proxy)
    database = shop.database.model_copy(update={"statement_timeout_ms": 500})
    return shop.model_copy(update={"database": database})


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[str]:
    address = f"127.0.0.1:{settings.ingest.port}"
    async with running(settings):
        await serving(address)
        yield address


def _receipt(number: int) -> str:
    return make_receipt(sequence_number=number).canonical()


def _key(number: int) -> str:
    return make_receipt(sequence_number=number).receipt_id


def _in_bronze(settings: Settings, table: str = "bronze.receipts") -> list[dict]:
    lake = lake_of(settings)
    return lake.open(table).to_pyarrow_table().sort_by("sequence").to_pylist() if lake.exists(table) else []


async def _until_postgres_is_used_again(till: Conversation, first: int, ingest: psycopg.Connection) -> int:
    """Send receipts, whose offsets and numbers are the same, until one of them is in Postgres; return the next."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            await till.say(record(first, _receipt(first)))
            await till.hear_ack(first)
            row = ingest.execute("SELECT FROM retail.receipts WHERE receipt_id = %s", [_key(first)]).fetchone()
            first += 1
            if row is not None:
                return first


async def test_while_postgres_is_cut_off_tills_are_acknowledged_through_bronze_and_new_ones_are_taken(
    shaky_shop: Settings, postgres_proxy: TcpProxy, ingest: psycopg.Connection
) -> None:
    async with _open(shaky_shop) as address, streaming(address) as till:
        await till.say(record(0, _receipt(1)))
        await till.hear_ack(0)
        postgres_proxy.cut()
        await till.say(*(record(n, _receipt(n + 1)) for n in range(1, 30)))
        await till.hear_ack(29)
        async with streaming(address) as another:
            await another.say(record(0, _receipt(100)))
            await another.hear_ack(0)
        rows = _in_bronze(shaky_shop)
        assert [row["record_key"] for row in rows] == [_key(n) for n in (*range(2, 31), 100)]
        assert [row["sequence"] for row in rows] == sorted({row["sequence"] for row in rows})
        postgres_proxy.restore()
        last = await _until_postgres_is_used_again(till, 30, ingest)
    in_postgres = {key for (key,) in ingest.execute("SELECT receipt_id FROM retail.receipts")}
    # Bronze holds 2 to 30 and 100; receipt 30 came a second time, so what followed is there or in Postgres.
    in_lake = {row["record_key"] for row in _in_bronze(shaky_shop)}
    assert in_postgres | in_lake >= {_key(n) for n in (*range(1, last), 100)}


@pytest.mark.parametrize(
    ("marker", "refused"),
    [(b"INSERT INTO retail.receipts", []), (b"COMMIT", [b"{}"])],
    ids=["a statement by itself", "a transaction"],
)
async def test_a_group_whose_commit_has_no_known_outcome_is_acknowledged_and_in_bronze(
    shaky_shop: Settings, postgres_proxy: TcpProxy, marker: bytes, refused: list[bytes]
) -> None:
    async with _open(shaky_shop) as address, streaming(address) as till:
        cut = postgres_proxy.cut_after(marker)
        await till.say(batch(0, [_receipt(n) for n in range(1, 11)] + refused))
        await _acknowledged(till, 0)
        assert cut.is_set()
    rows = _in_bronze(shaky_shop)
    assert [row["record_key"] for row in rows] == [_key(n) for n in range(1, 11)] + [None] * len(refused)


async def test_a_postgres_that_says_nothing_any_more_holds_nobody(
    shaky_shop: Settings, postgres_proxy: TcpProxy, ingest: psycopg.Connection
) -> None:
    async with _open(shaky_shop) as address, streaming(address) as till:
        await till.say(record(0, _receipt(1)))
        await till.hear_ack(0)
        postgres_proxy.freeze()
        await till.say(record(1, _receipt(2)))
        await _acknowledged(till, 1)
        assert _key(2) in {row["record_key"] for row in _in_bronze(shaky_shop)}
        postgres_proxy.restore()
        await _until_postgres_is_used_again(till, 2, ingest)


async def test_a_statement_that_waits_for_too_long_sends_the_group_to_bronze(
    shaky_shop: Settings, ingest: psycopg.Connection, owner: psycopg.Connection
) -> None:
    async with _open(shaky_shop) as address, streaming(address) as till:
        with owner.transaction():
            owner.execute("LOCK TABLE retail.receipts IN ACCESS EXCLUSIVE MODE")
            await till.say(record(0, _receipt(1)))
            await _acknowledged(till, 0)
        assert [row["record_key"] for row in _in_bronze(shaky_shop)] == [_key(1)]
        await till.say(record(1, _receipt(1)))
        await _acknowledged(till, 1)
        await _until_postgres_is_used_again(till, 2, ingest)


async def test_what_bronze_holds_already_is_not_written_there_again(
    shaky_shop: Settings, open_shop: Settings, postgres_proxy: TcpProxy
) -> None:
    refused = '{"receipt_type": "sale"'
    async with _open(shaky_shop) as address:
        async with streaming(address) as till:
            await till.say(batch(0, [_receipt(1), _receipt(2), refused]))
            await till.hear_ack(0)
        await asyncio.to_thread(drain, open_shop)
        postgres_proxy.cut()
        for _ in range(2):
            async with streaming(address) as till:
                await till.say(batch(0, [_receipt(1), _receipt(3), refused, _receipt(3)]))
                await till.hear_ack(0)
    keys = Counter(row["record_key"] for row in _in_bronze(open_shop))
    assert keys == {_key(1): 1, _key(2): 1, _key(3): 1, None: 1}


async def test_nothing_is_acknowledged_while_neither_store_takes_it_and_nothing_is_lost(
    shaky_shop: Settings, postgres_proxy: TcpProxy, ingest: psycopg.Connection
) -> None:
    in_the_way = Path(shaky_shop.lake_root) / "bronze"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a directory must be: not even root can write below it")
    async with _open(shaky_shop) as address, streaming(address) as till:
        postgres_proxy.cut()
        await till.say(record(0, _receipt(1)))
        hearing = asyncio.create_task(till.hear())
        await _until_refused(address)
        assert not hearing.done()
        assert ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)
        in_the_way.unlink()
        assert (await hearing).ack.durable_up_to == 0
        assert [row["record_key"] for row in _in_bronze(shaky_shop)] == [_key(1)]
        await serving(address)


async def test_postgres_alone_is_enough_again_after_both_were_away(
    shaky_shop: Settings, postgres_proxy: TcpProxy, ingest: psycopg.Connection
) -> None:
    in_the_way = Path(shaky_shop.lake_root) / "bronze"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("")
    async with _open(shaky_shop) as address, streaming(address) as till:
        postgres_proxy.cut()
        await till.say(record(0, _receipt(1)))
        await _until_refused(address)
        postgres_proxy.restore()
        await till.hear_ack(0)
    assert ingest.execute("SELECT receipt_id FROM retail.receipts").fetchall() == [(_key(1),)]


async def test_a_gateway_that_starts_without_postgres_knows_the_stores_from_bronze(
    shaky_shop: Settings, open_shop: Settings, postgres_proxy: TcpProxy
) -> None:
    await asyncio.to_thread(drain, open_shop)
    postgres_proxy.cut()
    async with _open(shaky_shop) as address, streaming(address) as till, streaming(address, STORES) as office:
        await till.say(record(0, _receipt(1)), record(1, make_receipt(store_id=999).canonical()))
        await till.hear_ack(1)
        await office.say(record(0, make_store(store_id=999, name="Troy Hill").canonical()))
        await office.hear_ack(0)
        await till.say(record(2, make_receipt(store_id=999, sequence_number=2).canonical()))
        await till.hear_ack(2)
    rows = _in_bronze(open_shop)
    assert [(row["store_id"], row["refusal"] is None) for row in rows] == [(367, True), (999, False), (999, True)]


async def test_two_gateways_without_postgres_write_what_both_were_sent_once(
    shaky_shop: Settings, open_shop: Settings, postgres_proxy: TcpProxy, free_settings: Callable[[Settings], Settings]
) -> None:
    await asyncio.to_thread(drain, open_shop)
    postgres_proxy.cut()

    async def one_till(address: str) -> None:
        async with streaming(address) as till:
            for offset in range(10):
                await till.say(batch(offset, [_receipt(offset * 5 + n) for n in range(1, 6)]))
                await _acknowledged(till, offset)

    async with _open(shaky_shop) as one, _open(free_settings(shaky_shop)) as other:
        await asyncio.gather(one_till(one), one_till(other))
    assert Counter(row["record_key"] for row in _in_bronze(open_shop)) == {_key(n): 1 for n in range(1, 51)}


async def _acknowledged(till: Conversation, offset: int) -> None:
    """Wait for an ack for as long as a slow store may take."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            answer = await till.call.read()
            assert answer is not grpc.aio.EOF, await till.call.details()
            if answer.WhichOneof("message") == "ack" and answer.ack.durable_up_to >= offset:
                return


async def _until_refused(address: str) -> None:
    """Open streams until one is refused because records cannot be stored."""
    async with asyncio.timeout(_DEADLINE_S):
        while await _opens(address):
            pass


async def _opens(address: str) -> bool:
    async with connected(address) as till:
        await till.say(open_stream())
        try:
            answer = await till.call.read()
        except grpc.aio.AioRpcError:
            answer = grpc.aio.EOF
        if answer is not grpc.aio.EOF:
            return True
        assert (await till.status())[0] is grpc.StatusCode.UNAVAILABLE
        return False
