"""Several processes of the portal behind one address: sticky, replaced, rolled and killed without anybody noticing."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import psutil
import pytest

from cluster import seeds
from cluster.errors import PlatformError
from cluster.fleet_files import fleet_file, read_fleet
from cluster.parts import PARTS
from cluster.portal_fleet import NAME
from cluster.portal_front import configuration
from configs.settings import Settings
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_block
from tests.fixtures.processes import started
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.whole_api import patient
from tests.gradio_ui.conftest import api_of, served
from tests.gradio_ui.test_asgi import NAVIGATION, events, fire, shown, sign_in

_DEADLINE_S = 120
_COOKIE = "receipts_process"
RECEIPT = make_receipt()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)  # polls with a deadline


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A platform with a receipt, whose portal has two processes."""
    portal = settings.portal.model_copy(update={"processes": 2})
    portal = portal.model_copy(update={"process_port": free_block(portal.slots)})
    return patient(settings.model_copy(update={"portal": portal}))


@pytest.fixture
def house(settings: Settings) -> Iterator[Settings]:
    """The API, for those who start the portal."""
    assert settings.database.dsn is not None
    seeds.plant(settings.database.dsn.get_secret_value())
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[RECEIPT])
    with served(partial(api_of, settings, {"auth", "lookup", "customers", "context"}), settings.serve.port):
        yield settings


def serving(settings: Settings) -> dict[int, int]:
    """Return the process of each slot that serves."""
    try:
        return {one["slot"]: one["pid"] for one in read_fleet(settings, NAME)[NAME] if one["state"] == "serving"}
    except PlatformError:
        return {}


def answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.portal.public_url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def fleet(settings: Settings) -> Iterator[psutil.Process]:
    """Run `receipts portal` until the end of the block; it must then stop by itself and leave nothing."""
    with started([sys.executable, "-m", "cluster.commands", "portal"], env=environment_of(settings)) as process:
        leader = psutil.Process(process.pid)
        try:
            until(lambda: len(serving(settings)) == 2 and answers(settings))
            yield leader
        finally:
            family = leader.children(recursive=True)
            process.terminate()
            assert process.wait(_DEADLINE_S) == 0
            assert [one for one in family if one.is_running()] == []
            assert not fleet_file(settings, NAME).exists()


@contextmanager
def browser(settings: Settings, principal: str | None = "rep.east") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=settings.portal.public_url, timeout=20) as client:
        if principal is not None:
            sign_in(client, principal)
        yield client


def asked(settings: Settings) -> dict[int, int]:
    """Return how many requests HAProxy has led to each slot."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(str(settings.state_dir / "run" / "portal-front.sock"))
        talk.sendall(b"show stat processes 4 -1\n")
        text = b"".join(iter(lambda: talk.recv(65_536), b"")).decode()
    rows = csv.DictReader(text.removeprefix("# ").strip().splitlines())
    return {int(row["svname"][1:]): int(row["stot"]) for row in rows}


def slot_of(client: httpx.Client) -> int:
    return int(client.cookies[_COOKIE].removeprefix("p"))


def opened(client: httpx.Client) -> str:
    """Open the receipt as the page does and return what is shown."""
    return shown(fire(client, events(client)["open"], {"receipt_id": RECEIPT.receipt_id, "lines": []}))


def test_each_browser_stays_with_one_process_and_browsers_are_spread(house: Settings) -> None:
    with fleet(house):
        slots = set()
        for _ in range(4):
            with browser(house) as client:
                own, before = slot_of(client), asked(house)
                for _ in range(3):
                    assert "East Liberty" in opened(client)
                assert {slot for slot, count in asked(house).items() if count > before[slot]} == {own}
                slots.add(own)
        assert len(slots) == 2
        with browser(house, None) as client:
            told = client.get("/sign-in").headers.get_list("set-cookie")
            given = next(one for one in told if one.startswith(f"{_COOKIE}=p"))
            assert given.split("; ")[1:] == ["path=/", "HttpOnly", "SameSite=Lax"]
            _files_are_kept(client)
            large = client.post("/rep/gradio_api/run/predict", content=b"x" * (house.portal.max_body_bytes + 1))
            assert large.status_code == 413


def _files_are_kept(client: httpx.Client) -> None:
    """What has its content in its name is kept by browsers for good, and by HAProxy, compressed."""
    page = client.get("/signed-out").text
    (own,) = re.findall(r'href="(/static/[0-9a-f]{16}/app\.css)"', page)
    first, again = client.get(own), client.get(own)
    assert first.headers["cache-control"].startswith("public, max-age=31536000, immutable")
    assert first.headers["content-encoding"] == "br"
    assert "age" in again.headers, "HAProxy answered it"
    assert "set-cookie" not in again.headers
    assert again.text == first.text != ""
    assert "nonce" not in again.headers["content-security-policy"]


def test_a_process_that_is_killed_is_passed_over_and_its_sessions_go_on_elsewhere(house: Settings) -> None:
    with fleet(house) as leader, browser(house) as client:
        before = serving(house)
        own = slot_of(client)
        os.kill(before[own], signal.SIGKILL)
        assert "East Liberty" in opened(client), "at the very next request"
        assert slot_of(client) != own
        until(lambda: len(serving(house)) == 2 and serving(house) != before)
        assert len({*serving(house).values(), *before.values()}) == 3
        _front_is_replaced(leader, client)


def _front_is_replaced(leader: psutil.Process, client: httpx.Client) -> None:
    """Kill HAProxy and who looks after it: another one takes their place and leads to the same processes."""
    for victim in ("haproxy", "front"):
        (found,) = [
            one for one in leader.children(recursive=True)
            if (one.name() == "haproxy" if victim == "haproxy" else "front" in one.cmdline())
        ]  # fmt: skip
        found.kill()
        until(lambda: _opens(client))


def _opens(client: httpx.Client) -> bool:
    try:
        return client.get("/rep/", headers=NAVIGATION).status_code == 200 and "East Liberty" in opened(client)
    except httpx.TransportError:
        return False


class Reps:
    """Reps at work, each in a thread: they open their page and a receipt, again and again, and note what fails."""

    def __init__(self, settings: Settings, count: int):
        self._settings = settings
        self._enough = threading.Event()
        self.answered = 0
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        with browser(self._settings) as client:
            event = events(client)["open"]
            while not self._enough.is_set():
                try:
                    page = client.get("/rep/", headers=NAVIGATION)
                    answer = fire(client, event, {"receipt_id": RECEIPT.receipt_id, "lines": []})
                    good = (page.status_code, answer.status_code) == (200, 200) and "East Liberty" in answer.text
                    self.failed += [] if good else [f"{page.status_code}, {answer.status_code}: {answer.text[:200]}"]
                except httpx.TransportError as error:
                    self.failed.append(repr(error))
                self.answered += 1

    def finish(self) -> list[str]:
        self._enough.set()
        for thread in self._threads:
            thread.join(_DEADLINE_S)
        return self.failed


def test_the_command_replaces_processes_one_by_one_and_not_a_request_fails(
    house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment_of(house).items():
        monkeypatch.setenv(key, value)
    (portal,) = (part for part in PARTS if part.name == "portal")
    portal.start(house)  # as `receipts up` does
    try:
        until(lambda: len(serving(house)) == 2)
        reps, before = Reps(house, 3), serving(house)
        until(lambda: reps.answered > 3)
        command = [sys.executable, "-m", "cluster.commands", "portal", "restart", "--json"]
        told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=_DEADLINE_S).stdout)
        seen = reps.answered
        until(lambda: reps.answered > seen + 6)
        assert reps.finish() == []
        assert told["rolls"] == 1
        assert not {*before.values()} & {one["pid"] for one in told[NAME] if one["state"] == "serving"}
    finally:
        portal.stop(house)
    assert not answers(house)


def test_all_end_when_the_fleet_is_killed(house: Settings) -> None:
    with started([sys.executable, "-m", "cluster.commands", "portal"], env=environment_of(house)) as process:
        until(lambda: len(serving(house)) == 2 and answers(house))
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 4, "two processes, HAProxy and who looks after it"
        process.kill()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))


def test_a_port_that_another_program_has_is_said(settings: Settings) -> None:
    command = [sys.executable, "-m", "cluster.commands", "portal"]
    with (
        socket.create_server((settings.portal.host, settings.portal.port)),
        started(command, env=environment_of(settings), stderr=-1) as process,
    ):
        _, said = process.communicate(timeout=_DEADLINE_S)
    assert process.returncode == 1
    assert b"cannot bind socket" in said
    assert b"The first front of the portal cannot start" in said


def test_over_https_the_cookie_is_bound_to_the_host_and_to_tls(settings: Settings) -> None:
    portal = settings.portal.model_copy(update={"public_url": "https://receipts.example"})
    text = configuration(settings.model_copy(update={"portal": portal}))
    assert "cookie __Host-receipts_process insert indirect nocache httponly secure attr SameSite=Lax" in text
    assert "X-Forwarded-Proto https" in text
    assert len(re.findall(r"^    server p\d ", text, re.MULTILINE)) == portal.slots


def test_nothing_is_logged_of_requests_and_nothing_but_pages_has_a_port(settings: Settings) -> None:
    text = configuration(settings)
    directives = [line.split()[0] for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert "log" not in directives
    assert directives.count("bind") == 1
    assert f'stats socket "{settings.state_dir}/run/portal-front.sock" mode 600' in text


def test_a_folder_too_long_for_a_socket_is_refused_in_words(settings: Settings) -> None:
    with pytest.raises(PlatformError, match="too long for HAProxy's socket"):
        configuration(settings.model_copy(update={"state_dir": settings.state_dir / ("x" * 90)}))
