"""Group commit when Postgres misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import grpc
import grpc.aio
import psycopg
import psycopg.sql

from cluster.postgres import admin_dsn
from configs.settings import Settings
from ingest.link import Link
from ingest.records import Incoming, StorePlace
from ingest.store_directory import StoreDirectory
from ingest.validation import Origin, Parsed, parse, place
from ingest.writer import Submission, Writer
from tests.fixtures.retail import make_receipt
from tests.ingest.till_double import record, serving, streaming

_DEADLINE_S = 30


def _incoming(number: int) -> Incoming:
    origin = Origin("bronze.receipts", "test", datetime.now(UTC))
    parsed = parse(make_receipt(sequence_number=number).canonical().encode(), origin, 100_000)
    assert isinstance(parsed, Parsed)
    return place(parsed, {367: StorePlace(1, "America/New_York")}, origin)


@asynccontextmanager
async def _writing(settings: Settings) -> AsyncIterator[Writer]:
    async def on_ready(*, ready: bool) -> None:
        pass

    link, other = Link(settings), Link(settings)
    writer = Writer(link, StoreDirectory(other), settings.ingest, on_ready)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await link.close()
        await other.close()


async def test_a_record_that_postgres_does_not_take_is_refused_and_the_others_are_stored(
    open_shop: Settings, ingest: psycopg.Connection
) -> None:
    records = [_incoming(number) for number in range(1, 8)]
    spoiled = records[4].row._replace(receipt_type="a\x00b")  # validation lets no such record through
    records[4] = Incoming(records[4].bronze, spoiled)
    durable = asyncio.Event()
    async with _writing(open_shop) as writer:
        writer.submit(Submission(records, durable.set))
        await asyncio.wait_for(durable.wait(), _DEADLINE_S)
    assert ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() == (6,)
    (reason,) = ingest.execute("SELECT reason FROM ingest.quarantine").fetchone()
    assert reason.startswith("The database does not accept this record")


async def test_a_broken_connection_holds_the_till_and_loses_nothing(
    gateway: str, ingest: psycopg.Connection, owner: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        for offset in range(30):
            await till.say(record(offset, make_receipt(sequence_number=offset + 1).canonical()))
            if offset % 10 == 5:
                owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'receipts_ingest' AND datname = current_database() AND pid <> %s",
                    [ingest.info.backend_pid],
                )
        await till.hear_ack(29)
    assert ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() == (30,)
    assert ingest.execute("SELECT count(*) FROM ingest.outbox WHERE record_key LIKE '26%'").fetchone() == (30,)


async def test_while_the_database_is_shut_nothing_is_acknowledged_and_new_streams_are_refused(
    gateway: str, open_shop: Settings, owner: psycopg.Connection
) -> None:
    name = owner.info.dbname
    with psycopg.connect(admin_dsn(open_shop, "postgres"), autocommit=True) as server:
        async with streaming(gateway) as till:
            await till.say(record(0, make_receipt().canonical()))
            await till.hear_ack(0)
            _shut(server, name, shut=True)
            await till.say(record(1, make_receipt(sequence_number=2).canonical()))
            hearing = asyncio.create_task(till.hear())
            assert await _refused(gateway) is grpc.StatusCode.UNAVAILABLE
            assert not hearing.done()
            _shut(server, name, shut=False)
            assert (await hearing).ack.durable_up_to == 1
        await serving(gateway)
    assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (2,)


def _shut(server: psycopg.Connection, database: str, *, shut: bool) -> None:
    """Let nobody into a database and throw out the gateway, or let everybody in again."""
    name = psycopg.sql.Identifier(database)
    server.execute(psycopg.sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(name, not shut))
    if shut:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receipts_ingest' AND datname = %s",
            [database],
        )


async def _refused(gateway: str) -> grpc.StatusCode:
    """Open streams until one is refused and return the status."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            try:
                async with streaming(gateway):
                    pass
            except grpc.aio.AioRpcError as error:
                return error.code()
