"""The till against a real gateway, and against none."""

import asyncio

import psycopg
import pytest

from configs.settings import Settings
from ingest.server import running
from ingest.till import Sent, StreamRefused, send
from receipts.errors import InvalidInput, Unavailable
from tests.fixtures.ports import free_ports
from tests.fixtures.retail import make_receipt
from tests.ingest.till_double import RECEIPTS, serving


def _receipts(count: int, first: int = 1) -> list[str]:
    return [make_receipt(sequence_number=n).canonical() for n in range(first, first + count)]


def _count(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT count(*) FROM retail.receipts").fetchone()[0]


async def test_everything_sent_is_acknowledged_and_stored(gateway: str, ingest: psycopg.Connection) -> None:
    seen: list[Sent] = []
    sent = await asyncio.to_thread(
        send, iter(_receipts(1_050)), table=RECEIPTS, target=gateway, on_progress=seen.append
    )
    assert sent == Sent(1_050, 1_050)
    assert seen[-1] == sent
    assert _count(ingest) == 1_050


async def test_sending_nothing_is_not_an_error(gateway: str) -> None:
    assert await asyncio.to_thread(send, [], table=RECEIPTS, target=gateway) == Sent(0, 0)


async def test_a_gateway_that_is_stopped_and_started_again_loses_and_doubles_nothing(
    open_shop: Settings, ingest: psycopg.Connection
) -> None:
    address = f"127.0.0.1:{open_shop.ingest.port}"
    under_way = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_progress(_: Sent) -> None:
        loop.call_soon_threadsafe(under_way.set)

    async with running(open_shop):
        await serving(address)
        sending = asyncio.create_task(
            asyncio.to_thread(send, _receipts(3_000), table=RECEIPTS, target=address, on_progress=on_progress)
        )
        await under_way.wait()
    for _ in range(2):
        async with running(open_shop):
            await serving(address)
    async with running(open_shop):
        assert await sending == Sent(3_000, 3_000)
    assert _count(ingest) == 3_000
    assert ingest.execute("SELECT count(*) FROM ingest.outbox WHERE refusal IS NULL AND store_id = 367").fetchone() == (
        3_001,  # the store's own record is the one more
    )


async def test_a_missing_gateway_is_named_when_patience_ends() -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port} cannot be reached"):
        await asyncio.to_thread(send, ["{}"], table=RECEIPTS, target=f"127.0.0.1:{port}", patience_s=0.3)


async def test_a_table_that_is_not_there_is_not_tried_again(gateway: str) -> None:
    with pytest.raises(StreamRefused, match="No such table"):
        await asyncio.to_thread(send, ["{}"], table="retail.nothing", target=gateway)


@pytest.mark.parametrize(
    ("bad", "problem"), [("  ", "number 3 is empty"), ("x" * 10_420_225, "number 3 has 10420225 bytes")]
)
async def test_a_record_that_cannot_be_sent_is_named_after_the_others_arrived(
    gateway: str, ingest: psycopg.Connection, bad: str, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        await asyncio.to_thread(send, [*_receipts(2), bad, *_receipts(1, 9)], table=RECEIPTS, target=gateway)
    assert _count(ingest) == 2


async def test_an_error_of_the_source_is_raised_to_the_caller(gateway: str, ingest: psycopg.Connection) -> None:
    def source():
        yield from _receipts(101)
        raise RuntimeError("the file ended early")

    with pytest.raises(RuntimeError, match="the file ended early"):
        await asyncio.to_thread(send, source(), table=RECEIPTS, target=gateway)
    assert _count(ingest) == 101
