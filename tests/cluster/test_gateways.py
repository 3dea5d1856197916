"""Several gateways behind one port: rolled under load, killed, and put on Ray, without a record lost or sent twice."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from cluster.errors import PlatformError
from cluster.fleet_files import read_fleet
from cluster.gateways import NAME, node_fleet, targets_file
from cluster.ray_node import node_environment
from configs.settings import Settings
from ingest.till import Sent, send
from tests.fixtures.environment import environment_of
from tests.fixtures.processes import started
from tests.fixtures.retail import make_receipt, make_store, store_rows

_DEADLINE_S = 120
_RECEIPTS = 3_000


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """A platform that knows one store and runs two gateways a node."""
    store_rows(settings, stores=[make_store()])
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"gateways": 2})})


def until(condition):
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)  # polls with a deadline


def serving(shop: Settings) -> set[int]:
    try:
        return {one["pid"] for one in read_fleet(shop, NAME)["gateways"] if one["state"] == "serving"}
    except PlatformError:
        return set()


@contextmanager
def fleet(shop: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run `receipts ingest gateways` until the end of the block, when it must stop by itself."""
    command = [sys.executable, "-m", "cluster.commands", "ingest", "gateways"]
    with started(command, env=environment_of(shop)) as process:
        try:
            until(lambda: len(serving(shop)) == 2)
            yield process
        finally:
            process.terminate()
            assert process.wait(_DEADLINE_S) == 0


class Tills:
    """A till in a thread, sending receipts one small batch after another for as long as the test lets it."""

    def __init__(self, shop: Settings):
        self.enough = threading.Event()
        self.acked = 0
        self.sent: Sent | None = None
        self._address = f"{shop.ingest.host}:{shop.ingest.port}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _records(self) -> Iterator[str]:
        for number in range(1, 999_999):
            if self.enough.is_set() and number > _RECEIPTS:
                return
            yield make_receipt(sequence_number=number).canonical()

    def _run(self) -> None:
        self.sent = send(
            self._records(), table="retail.pos.receipts", target=self._address, on_progress=self._note, patience_s=60
        )

    def _note(self, sent: Sent) -> None:
        self.acked = sent.acked

    def finish(self) -> int:
        """Let the till end; return how many receipts were acknowledged, which must be all."""
        self.enough.set()
        self._thread.join(_DEADLINE_S)
        assert self.sent is not None
        assert self.sent.sent == self.sent.acked
        return self.sent.acked


def stored(owner: psycopg.Connection) -> tuple[int, int]:
    """Return how many receipts are readable and how many rows of them go to Bronze."""
    (readable,) = owner.execute("SELECT count(*) FROM retail.receipts").fetchone()
    (queued,) = owner.execute("SELECT count(*) FROM ingest.outbox WHERE bronze_table = 'bronze.receipts'").fetchone()
    return readable, queued


def test_gateways_are_replaced_under_load_and_every_receipt_arrives_once(shop: Settings, owner) -> None:
    with fleet(shop) as process:
        tills = Tills(shop)
        for rolls in (1, 2):
            until(lambda: tills.acked > 0)
            before = serving(shop)
            process.send_signal(signal.SIGHUP)
            until(lambda rolls=rolls: read_fleet(shop, NAME)["rolls"] == rolls)
            until(lambda before=before: len(serving(shop)) == 2 and not serving(shop) & before)
        count = tills.finish()
    assert stored(owner) == (count, count)


def test_a_gateway_that_is_killed_under_load_loses_and_doubles_nothing(shop: Settings, owner) -> None:
    with fleet(shop):
        tills = Tills(shop)
        until(lambda: tills.acked > 0)
        for victim in serving(shop):
            os.kill(victim, signal.SIGKILL)
        until(lambda: len(serving(shop)) == 2)
        count = tills.finish()
    assert stored(owner) == (count, count)


def test_prometheus_finds_every_gateway_before_and_after_a_roll(shop: Settings) -> None:
    with fleet(shop) as process:
        assert _scraped(shop) == [200, 200]
        before = serving(shop)
        process.send_signal(signal.SIGHUP)
        until(lambda: len(serving(shop)) == 2 and not serving(shop) & before)
        until(lambda: len(read_fleet(shop, NAME)["gateways"]) == 2)
        until(lambda: _scraped(shop) == [200, 200])
    assert not targets_file(shop).exists()


def _scraped(shop: Settings) -> list[int | None]:
    """Ask every gateway that Prometheus is told of; None from one that does not answer (yet)."""
    (group,) = json.loads(targets_file(shop).read_text())
    answers: list[int | None] = []
    for target in group["targets"]:
        try:
            answers.append(httpx.get(f"http://{target}/ready", timeout=30, trust_env=False).status_code)
        except httpx.TransportError:
            answers.append(None)
    return answers


def test_a_port_that_another_program_has_is_said(shop: Settings) -> None:
    taken = socket.create_server((shop.ingest.host, shop.ingest.port))
    with taken, pytest.raises(PlatformError, match="is another one running"):
        node_fleet(shop)


def test_ray_runs_a_fleet_on_its_node_rolls_it_and_lets_it_finish(
    shop: Settings, ray_address: str, owner, pytestconfig: pytest.Config
) -> None:
    joined = shop.model_copy(update={"ray": shop.ray.model_copy(update={"address": ray_address})})
    environment = {**environment_of(joined), **node_environment(joined)}

    def receipts(*arguments: str) -> str:
        command = [sys.executable, "-m", "cluster.commands", "ingest", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def pids(told: dict) -> set[int]:
        return {one["pid"] for node in told.values() for one in node["gateways"] if one["state"] == "serving"}

    try:
        first = json.loads(receipts("deploy", "--json"))
        assert len(pids(first)) == 2
        assert pids(json.loads(receipts("deploy", "--json"))) == pids(first), "repeating it changes nothing"
        tills = Tills(shop)
        until(lambda: tills.acked > 0)
        rolled = json.loads(receipts("restart", "--ray", "--json"))
        assert not pids(rolled) & pids(first)
        count = tills.finish()
        assert stored(owner) == (count, count)
    finally:
        assert receipts("undeploy").startswith("1 ")
