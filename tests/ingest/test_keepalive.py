"""A till whose line goes silent is forgotten, one that is quiet or slow is kept, and resending changes nothing."""

import asyncio
from collections.abc import Iterator

import grpc
import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from configs.settings import Settings
from ingest.server import running
from tests.fixtures.retail import make_receipt
from tests.fixtures.tcp_proxy import TcpProxy
from tests.ingest.till_double import record, serving, streaming

_DEADLINE_S = 60


@pytest.fixture
def watchful(open_shop: Settings) -> Settings:
    """Settings of a gateway that asks every second whether a till is still there."""
    soon = {"keepalive_s": 1.0, "keepalive_timeout_s": 2.0}
    return open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update=soon)})


@pytest.fixture
def line(watchful: Settings) -> Iterator[TcpProxy]:
    """The line between a till and the gateway."""
    proxy = TcpProxy("127.0.0.1", watchful.ingest.port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()


async def test_a_till_behind_a_silent_line_frees_its_stream_and_loses_and_doubles_nothing(
    watchful: Settings, line: TcpProxy, ingest: psycopg.Connection
) -> None:
    address = f"127.0.0.1:{watchful.ingest.port}"
    async with running(watchful):
        await serving(address)
        async with streaming(address) as quiet:
            async with streaming(f"127.0.0.1:{line.port}") as till:
                await till.say(*(record(n, _receipt(n)) for n in range(5)))
                await _until_stored(ingest, 5)
                assert await _open_streams(watchful) == 2
                line.freeze()
                await till.say(record(5, _receipt(5)))  # into the void
                async with asyncio.timeout(_DEADLINE_S):
                    while await _open_streams(watchful) != 1:  # noqa: ASYNC110 - asked over HTTP
                        await asyncio.sleep(0.05)
            await quiet.say(record(0, _receipt(100)))
            await quiet.hear_ack(0)
        line.restore()
        async with streaming(f"127.0.0.1:{line.port}") as again:
            await again.say(*(record(n, _receipt(n)) for n in range(7)))
            await again.hear_ack(6)
            assert (await again.end())[0] is grpc.StatusCode.OK
    numbers = (*range(7), 100)
    expected = sorted(make_receipt(sequence_number=n + 1).receipt_id for n in numbers)
    stored = 'SELECT receipt_id FROM retail.receipts ORDER BY receipt_id COLLATE "C"'
    assert [key for (key,) in ingest.execute(stored)] == expected
    outbox = "SELECT count(*) FROM ingest.outbox WHERE bronze_table = 'bronze.receipts'"
    assert ingest.execute(outbox).fetchone() == (len(numbers),)


async def test_a_till_whose_answer_waits_behind_much_of_its_own_data_is_kept(
    watchful: Settings, line: TcpProxy
) -> None:
    async with running(watchful):
        await serving(f"127.0.0.1:{watchful.ingest.port}")
        async with streaming(f"127.0.0.1:{line.port}") as till:
            line.slow_down(500_000)  # bytes a second: all of it at once would keep an answer for 7 s
            await till.say(*(record(n, "x" * 60_000) for n in range(60)))
            await till.hear_ack(59)


def _receipt(number: int) -> str:
    return make_receipt(sequence_number=number + 1).canonical()


async def _until_stored(ingest: psycopg.Connection, count: int) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() != (count,):  # noqa: ASYNC110 - asked of a database
            await asyncio.sleep(0.05)


async def _open_streams(settings: Settings) -> float:
    async with httpx.AsyncClient(trust_env=False, timeout=_DEADLINE_S) as http:
        text = (await http.get(f"http://127.0.0.1:{settings.ingest.metrics_port}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return families["receipts_ingest_streams"].samples[0].value
