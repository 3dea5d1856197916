"""`receipts stream` as somebody at a till runs it: each run its own process, against a real gateway or none."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.certificates import ensure_certificates
from cluster.tills import add_till
from configs.settings import Settings
from ingest.pos.spool import read_depth
from ingest.server import running
from receipts.database import DatabaseRole, connect
from receipts.errors import Unavailable
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_ports
from tests.fixtures.retail import make_receipt, make_store, store_rows

_DEADLINE_S = 60


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """Settings of a platform that knows store 367."""
    store_rows(settings, stores=[make_store()])
    return settings


def sales(first: int, last: int) -> str:
    return "".join(make_receipt(sequence_number=n).canonical() + "\n" for n in range(first, last + 1))


def stored(settings: Settings) -> list[int]:
    query = """SELECT (payload::jsonb ->> 'sequence_number')::integer FROM ingest.outbox
               WHERE bronze_table = 'bronze.receipts' ORDER BY sequence"""
    with connect(settings, DatabaseRole.INGEST) as connection:
        return [number for (number,) in connection.execute(query).fetchall()]


def start(settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cluster.commands", "stream", *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment_of(settings), **pipes)


def run(settings: Settings, *options: str, text: str | bytes = "") -> tuple[int, str, str]:
    """Return the exit status and what was written to standard output and to standard error."""
    client = start(settings, *options)
    out, err = client.communicate(text if isinstance(text, bytes) else text.encode(), timeout=_DEADLINE_S)
    return client.returncode, out.decode(), err.decode()


def spool_of(settings: Settings) -> Path:
    return settings.state_dir / "spool" / "retail.pos.receipts"


def wait_for_spool(settings: Settings, records: int) -> None:
    """Wait until so many records wait on the disk of a client that runs."""
    deadline = time.monotonic() + _DEADLINE_S
    found = -1
    while found != records:
        assert time.monotonic() < deadline, f"{found} records wait"
        time.sleep(0.02)  # polls with a deadline
        with suppress(Unavailable):  # the file is being made
            found = read_depth(spool_of(settings)).records


async def test_without_a_gateway_everything_waits_and_the_next_run_sends_it_first(shop: Settings) -> None:
    status, out, err = await asyncio.to_thread(run, shop, "-", "--patience", "0.5", text=sales(1, 250))
    assert status == 1
    assert out == f"250 sent, 0 acknowledged; 250 wait in {spool_of(shop)}, and the next run sends them\n"
    assert f"127.0.0.1:{shop.ingest.port} cannot be reached" in err
    assert f"250 records wait in {spool_of(shop)}." in err
    shown = json.loads((await asyncio.to_thread(run, shop, "--status", "--json"))[1])
    assert (shown["records"], shown["bytes"] > 250 * 500, shown["oldest_s"] > 0) == (250, True, True)
    async with running(shop):
        status, out, err = await asyncio.to_thread(run, shop, "-", "--json", text=sales(251, 260))
    assert (status, json.loads(out)) == (0, {"sent": 260, "acked": 260}), err
    assert stored(shop) == list(range(1, 261))
    assert (await asyncio.to_thread(run, shop, "--status"))[1] == f"0 records (0 bytes) wait in {spool_of(shop)}\n"


async def test_a_line_is_sent_as_it_comes_and_a_signal_ends_an_open_input_in_order(shop: Settings) -> None:
    async with running(shop):
        client = start(shop, "-")
        for number in (1, 2):
            client.stdin.write(sales(number, number).encode())
            client.stdin.flush()
            async with asyncio.timeout(_DEADLINE_S):
                while number not in stored(shop):  # noqa: ASYNC110 - asked of a database
                    await asyncio.sleep(0.05)
        await asyncio.to_thread(wait_for_spool, shop, 0)
        client.send_signal(signal.SIGTERM)
        out, err = await asyncio.to_thread(client.communicate, timeout=_DEADLINE_S)
    assert (client.returncode, out.decode()) == (0, "2 sent, 2 acknowledged\n"), err.decode()


def test_ctrl_c_keeps_what_waits_and_the_depth_is_served_meanwhile(settings: Settings) -> None:
    (port,) = free_ports(1)
    client = start(settings, "-", "--metrics-port", str(port))
    client.stdin.write(sales(1, 3).encode())
    client.stdin.flush()
    wait_for_spool(settings, 3)
    figures, deadline = "", time.monotonic() + _DEADLINE_S
    while "receipts_ingest_spool_records 3.0" not in figures:
        assert time.monotonic() < deadline, figures
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_DEADLINE_S) as answer:
            figures = answer.read().decode()
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=_DEADLINE_S)
    assert client.returncode == 130
    assert out.decode().startswith("3 sent, 0 acknowledged; 3 wait in ")
    assert read_depth(spool_of(settings)).records == 3


def test_a_full_spool_takes_no_more_and_says_so(settings: Settings) -> None:
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"spool_bytes": 2**20})})
    status, out, err = run(small, "-", "--patience", "0.5", text=sales(1, 2_000))
    waiting = read_depth(spool_of(small)).records
    assert (status, 500 < waiting < 2_000) == (1, True)
    assert out.startswith(f"{waiting} sent, 0 acknowledged; {waiting} wait in ")
    assert f"is full: {waiting} records wait" in err


async def test_a_bad_line_is_named_after_those_before_it_arrived(shop: Settings) -> None:
    text = sales(1, 2).encode() + b"caf\xe9\n" + sales(3, 3).encode()
    async with running(shop):
        status, out, err = await asyncio.to_thread(run, shop, "-", text=text)
        assert (status, out) == (1, "2 sent, 2 acknowledged\n")
        assert err.strip().endswith("receipts: FILE: line 3 is not UTF-8, from its byte 4 on")
        status, out, _ = await asyncio.to_thread(run, shop, "-", "--no-spool", text=sales(4, 6))
        assert (status, out) == (0, "3 sent, 3 acknowledged\n")
    assert stored(shop) == [1, 2, 4, 5, 6]


async def test_a_credential_and_an_authority_let_it_in(shop: Settings, tmp_path: Path) -> None:
    made = ensure_certificates(shop.state_dir / "certificates", ["localhost", "127.0.0.1"], 30)
    files = {"tls_certificate": made.certificate, "tls_key": made.key, "require_token": True}
    secure = shop.model_copy(update={"ingest": shop.ingest.model_copy(update=files)})
    secret = tmp_path / "secret"
    secret.write_text(add_till(secure, "till-367", [367], all_stores=False) + "\n")
    login = ["--client-id", "till-367", "--client-secret-file", str(secret)]
    target = ["--target", f"localhost:{secure.ingest.port}", "--ca", str(made.authority)]
    async with running(secure):
        status, out, err = await asyncio.to_thread(run, secure, "-", *target, *login, text=sales(1, 20))
        assert (status, out) == (0, "20 sent, 20 acknowledged\n"), err
        status, out, err = await asyncio.to_thread(run, secure, "-", *target, text=sales(21, 21))
        assert (status, "refused the stream" in err, "; 1 wait in" in out) == (1, True, True)
    assert stored(shop) == list(range(1, 21))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["no-such-file"], "FILE: no-such-file is not a file"),
        (["--client-id", "till-1"], "--client-id: goes together with --client-secret-file"),
        (
            ["--client-id", "till-1", "--client-secret-file", "x", "--token-url", "http://login.example"],
            "--ca: secrets do not travel to login.example in clear text; use it, and https for tokens",
        ),
        (["--ca", "no-such-file"], "--ca: no-such-file cannot be read (No such file or directory)"),
        (
            ["--target", "gateway.example:50061", "--client-id", "till-1", "--client-secret-file", "x"],
            "--ca: secrets do not travel to gateway.example in clear text; use it, and https for tokens",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(settings: Settings, options: list[str], sentence: str) -> None:
    status, out, err = run(settings, *options)
    assert (status, out) == (1, "")
    assert err.strip() == f"receipts: {sentence}"
