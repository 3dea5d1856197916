"""Group commit when Postgres misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg

from configs.settings import Settings
from ingest.direct import DirectWay
from ingest.link import Link
from ingest.metrics import Metrics
from ingest.outbox_way import OutboxWay
from ingest.records import Incoming, StorePlace
from ingest.store_directory import StoreDirectory
from ingest.submissions import Submission
from ingest.validation import Origin, Parsed, parse, place
from ingest.writer import Writer
from receipts.lake import lake_of
from tests.fixtures.retail import make_receipt
from tests.ingest.till_double import record, streaming

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

    link, other, lake = Link(settings), Link(settings), lake_of(settings)
    direct = DirectWay(lake, settings.ingest)
    writer = Writer(OutboxWay(link), direct, StoreDirectory(other, lake), settings.ingest, on_ready, Metrics())
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await direct.close()
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


async def test_a_broken_connection_is_opened_again_and_loses_nothing(
    gateway: str, ingest: psycopg.Connection, owner: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        for offset in range(30):
            await till.say(record(offset, make_receipt(sequence_number=offset + 1).canonical()))
            if offset == 15:
                owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'receipts_ingest' AND datname = current_database() AND pid <> %s",
                    [ingest.info.backend_pid],
                )
        await till.hear_ack(29)
    assert ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() == (30,)
    assert ingest.execute("SELECT count(*) FROM ingest.outbox WHERE record_key LIKE '26%'").fetchone() == (30,)
