"""A till with a spool against a real gateway: killed, cut off, met by silence, and let in by TLS and token."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from cluster.certificates import ensure_certificates
from cluster.tills import add_till
from configs.settings import Settings
from ingest.pos.point_of_sale import PointOfSale
from ingest.pos.session import Access, Line
from ingest.pos.spool import read_depth
from ingest.pos.tokens import StreamRefused, Tokens
from ingest.server import running
from tests.fixtures.retail import make_receipt
from tests.fixtures.tcp_proxy import TcpProxy
from tests.ingest.till_double import RECEIPTS

_PATIENCE_S = 60
_CLIENT = """
import sys
from pathlib import Path
from ingest.pos.point_of_sale import PointOfSale
from ingest.pos.session import Line
target, folder, file, first = sys.argv[1:]
with PointOfSale(Line(target, "retail.pos.receipts"), Path(folder)) as till:
    for number, record in enumerate(Path(file).read_text().splitlines(), 1):
        if number >= int(first):
            till.put(record)
            print(number, flush=True)
    till.flush(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def proxy(open_shop: Settings) -> Iterator[TcpProxy]:
    """A line to the gateway that can be cut."""
    made = TcpProxy("127.0.0.1", open_shop.ingest.port)
    made.start()
    yield made
    made.close()


def sales(first: int, last: int) -> list[str]:
    return [make_receipt(sequence_number=number).canonical() for number in range(first, last + 1)]


def stored(connection: psycopg.Connection) -> list[int]:
    query = "SELECT (document::jsonb ->> 'sequence_number')::integer FROM retail.receipts ORDER BY 1"
    return [number for (number,) in connection.execute(query).fetchall()]


def in_order(connection: psycopg.Connection) -> list[int]:
    """Return what goes to Bronze, in the order that the gateway gave it."""
    query = """SELECT (payload::jsonb ->> 'sequence_number')::integer FROM ingest.outbox
               WHERE bronze_table = 'bronze.receipts' ORDER BY sequence"""
    return [number for (number,) in connection.execute(query).fetchall()]


@asynccontextmanager
async def till_at(line: Line, folder: Path) -> AsyncIterator[PointOfSale]:
    """A till that closes in a thread, because the gateway that it says goodbye to runs in this one."""
    till = PointOfSale(line, folder)
    try:
        yield till
    finally:
        await asyncio.to_thread(till.close)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - asked of a till that runs in threads
            await asyncio.sleep(0.02)


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


def run_client(arguments: list[str], kill_after: int | None) -> int:
    """Run a till, kill it so many confirmed receipts later, and return the last one that it confirmed (or 0)."""
    command = [sys.executable, "-c", _CLIENT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        last = 0
        for count, line in enumerate(client.stdout, 1):
            last = int(line)
            if count == kill_after:
                client.kill()
    assert kill_after is not None or client.returncode == 0
    return last


async def test_a_till_that_is_killed_again_and_again_loses_and_doubles_nothing(
    gateway: str, ingest: psycopg.Connection, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sales.jsonl"
    file.write_text("\n".join(sales(1, 1_500)))
    confirmed = 0
    for kill_after in (1, 40, 150, 77):
        arguments = [gateway, str(folder), str(file), str(confirmed + 1)]
        confirmed = await asyncio.to_thread(run_client, arguments, kill_after)
    assert await asyncio.to_thread(run_client, [gateway, str(folder), str(file), str(confirmed + 1)], None) == 1_500
    assert stored(ingest) == list(range(1, 1_501))
    assert in_order(ingest) == list(range(1, 1_501))
    assert read_depth(folder).records == 0


async def test_what_a_killed_till_had_confirmed_is_sent_by_the_next_one_without_its_source(
    open_shop: Settings, ingest: psycopg.Connection, folder: Path, tmp_path: Path
) -> None:
    file, address = tmp_path / "sales.jsonl", f"127.0.0.1:{open_shop.ingest.port}"
    file.write_text("\n".join(sales(1, 1_000)))
    confirmed = await asyncio.to_thread(run_client, [address, str(folder), str(file), "1"], 200)
    assert read_depth(folder).records >= confirmed
    async with running(open_shop), till_at(Line(address, RECEIPTS), folder) as till:
        await asyncio.to_thread(till.flush, _PATIENCE_S)
    assert stored(ingest)[:confirmed] == list(range(1, confirmed + 1))
    assert in_order(ingest) == stored(ingest)


async def test_thousands_that_wait_for_the_line_arrive_in_order(
    gateway: str, ingest: psycopg.Connection, folder: Path, proxy: TcpProxy
) -> None:
    async with till_at(Line(f"127.0.0.1:{proxy.port}", RECEIPTS), folder) as till:
        till.put(*sales(1, 100))
        await asyncio.to_thread(till.flush, _PATIENCE_S)
        proxy.cut()
        for first in range(101, 3_001, 100):
            till.put(*sales(first, first + 99))
        assert till.state().waiting.records == 2_900
        proxy.restore()
        for number in range(3_001, 3_101):
            till.put(*sales(number, number))
        await asyncio.to_thread(till.flush, _PATIENCE_S)
        assert till.state().waiting.records == 0
    assert stored(ingest) == list(range(1, 3_101))
    assert in_order(ingest) == list(range(1, 3_101))


async def test_a_line_that_is_cut_while_it_works_doubles_nothing(
    gateway: str, ingest: psycopg.Connection, folder: Path, proxy: TcpProxy
) -> None:
    async with till_at(Line(f"127.0.0.1:{proxy.port}", RECEIPTS), folder) as till:
        for first in range(1, 2_001, 250):
            till.put(*sales(first, first + 249))
            await until(lambda before=first: till.state().acked >= before)  # the last line was found again, at least
            proxy.drop()
        await asyncio.to_thread(till.flush, _PATIENCE_S)
    assert stored(ingest) == list(range(1, 2_001))
    assert in_order(ingest) == list(range(1, 2_001))


async def test_a_gateway_that_falls_silent_is_left_and_found_again(
    gateway: str, ingest: psycopg.Connection, folder: Path, proxy: TcpProxy
) -> None:
    async with till_at(Line(f"127.0.0.1:{proxy.port}", RECEIPTS, ack_timeout_s=1.0), folder) as till:
        till.put(*sales(1, 10))
        await asyncio.to_thread(till.flush, _PATIENCE_S)
        proxy.freeze()
        till.put(*sales(11, 300))
        await until(lambda: till.state().problem == "no answer for 1 s")
        assert till.state().waiting.records == 290
        proxy.restore()
        await asyncio.to_thread(till.flush, _PATIENCE_S)
        assert till.state().problem is None
    assert stored(ingest) == list(range(1, 301))
    assert in_order(ingest) == list(range(1, 301))


async def test_tls_and_a_token_let_a_till_in_and_a_wrong_secret_costs_no_receipt(
    open_shop: Settings, ingest: psycopg.Connection, folder: Path
) -> None:
    made = ensure_certificates(open_shop.state_dir / "certificates", ["localhost", "127.0.0.1"], 30)
    files = {"tls_certificate": made.certificate, "tls_key": made.key, "require_token": True}
    secure = open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update=files)})
    secret = add_till(secure, "till-367", [367], all_stores=False)

    def line(its_secret: str) -> Line:
        authority = made.authority.read_bytes()
        tokens = Tokens(f"https://localhost:{secure.ingest.token_port}", "till-367", its_secret, authority)
        return Line(f"localhost:{secure.ingest.port}", RECEIPTS, Access(tls=True, ca_pem=authority, tokens=tokens))

    async with running(secure):
        async with till_at(line("wrong"), folder) as till:
            till.put(*sales(1, 5))
            with pytest.raises(StreamRefused, match="refused the client till-367: status 401"):
                await asyncio.to_thread(till.flush, _PATIENCE_S)
            till.put(*sales(6, 7))  # a till that is refused goes on selling
        async with till_at(line(secret), folder) as till:
            till.put(*sales(8, 8), make_receipt(store_id=400).canonical())
            await asyncio.to_thread(till.flush, _PATIENCE_S)
            assert till.state().acked == 9
    assert in_order(ingest)[:8] == stored(ingest) == list(range(1, 9))
    assert ingest.execute("SELECT kind FROM ingest.quarantine").fetchall() == [("foreign_store",)]


async def test_a_card_number_is_neither_on_the_tills_disk_nor_in_the_shop(
    gateway: str, ingest: psycopg.Connection, folder: Path, proxy: TcpProxy
) -> None:
    proxy.cut()
    card = "4111 1111 1111 1111"
    async with till_at(Line(f"127.0.0.1:{proxy.port}", RECEIPTS), folder) as till:
        till.put(make_receipt().canonical().replace("FLUID MILK WHITE ONLY", f"GIFT {card}"))
        files = contents(folder)
        assert any(b"card number removed" in content for content in files)
        assert not any(b"1111 1111" in content for content in files)
        proxy.restore()
        await asyncio.to_thread(till.flush, _PATIENCE_S)
    assert stored(ingest) == []
    ((payload,),) = ingest.execute("SELECT payload FROM ingest.quarantine").fetchall()
    assert "GIFT [card number removed]" in payload
