"""A fleet of gateways: always enough that serve, whoever dies, and none left behind."""

import json
import os
import signal
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from cluster.errors import PlatformError
from cluster.fleet import Fleet, Kind, run_together

_DEADLINE_S = 60
# Speaks the fleet's language and nothing else: says that it serves, ends when the lifeline does.
_WORKER = """
import os, signal, sys
fd = int(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if sys.argv[2] == "fail": sys.exit(3)
os.write(fd, b"R")
while os.read(fd, 1): pass
"""
# A fleet in a process of its own, so that it can be killed.
_FLEET = """
import sys, threading
from pathlib import Path
from cluster.fleet import Fleet, Kind
worker = sys.argv[2]
kind = Kind("worker", "workers", lambda slot, fd: [sys.executable, "-c", worker, str(fd), "serve"])
Fleet(2, kind, Path(sys.argv[1])).run(threading.Event())
"""


class Running:
    """A fleet in a thread of the test."""

    def __init__(self, folder: Path, size: int, slots: int = 128):
        self.file = folder / "fleet.json"
        self.behaviour = "serve"
        self.attempts = 0
        self.shown = []
        self.led = []
        kind = Kind("gateway", "gateways", self._command, slots, show=self._show, lead=self._lead)
        self.fleet = Fleet(size, kind, self.file)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.fleet.run, args=(self.stop,))
        self.thread.start()

    def _show(self, slots):
        self.shown.append(list(slots))

    def _lead(self, slots):
        """Note where new work is led to, and who still lives at that moment."""
        alive = sorted(one.slot for one in self.fleet._members if one.process.poll() is None)
        self.led.append((list(slots), alive))

    def _command(self, slot, fd):
        self.attempts += 1
        return [sys.executable, "-c", _WORKER, str(fd), self.behaviour]

    def told(self):
        return json.loads(self.file.read_text()) if self.file.is_file() else {"gateways": [], "rolls": 0}

    def serving(self):
        return {one["pid"] for one in self.told()["gateways"] if one["state"] == "serving"}

    def end(self):
        self.stop.set()
        self.thread.join(_DEADLINE_S)
        assert not self.thread.is_alive()


def until(condition):
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)  # polls with a deadline


@pytest.fixture
def fleet(tmp_path):
    running = Running(tmp_path, size=2)
    until(lambda: len(running.serving()) == 2)
    yield running
    running.end()


def test_as_many_serve_as_are_wanted_each_in_a_slot_of_its_own(fleet):
    assert sorted(one["slot"] for one in fleet.told()["gateways"]) == [0, 1]


def test_one_that_is_killed_is_replaced(fleet):
    before = fleet.serving()
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(fleet.serving()) == 2 and fleet.serving() != before)
    assert max(before) in fleet.serving()


def test_a_roll_replaces_every_one_and_there_are_always_enough(fleet):
    before, fewest = fleet.serving(), 2
    fleet.fleet.roll()
    deadline = time.monotonic() + _DEADLINE_S
    while fleet.told()["rolls"] == 0:
        fewest = min(fewest, len(fleet.serving()))
        assert time.monotonic() < deadline
    assert fewest == 2
    until(lambda: len(fleet.told()["gateways"]) == 2)
    assert not fleet.serving() & before


def test_a_roll_to_a_version_that_does_not_start_keeps_the_old_ones_serving(fleet):
    before = fleet.serving()
    fleet.behaviour = "fail"
    fleet.fleet.roll()
    until(lambda: fleet.attempts >= 5)  # two that serve and three that failed
    assert fleet.serving() == before
    fleet.behaviour = "serve"
    until(lambda: fleet.told()["rolls"] == 1)


def test_the_slot_of_a_gateway_that_does_not_come_back_is_shown_all_the_same(fleet):
    fleet.behaviour = "fail"
    os.kill(min(fleet.serving()), signal.SIGKILL)
    until(lambda: fleet.attempts >= 5)  # two that served and three that failed
    assert fleet.shown == [[0, 1]], "Prometheus asks where nobody answers, and the alert fires"
    fleet.behaviour = "serve"
    until(lambda: len(fleet.serving()) == 2)


def test_while_gateways_are_replaced_old_and_new_are_shown(fleet):
    fleet.fleet.roll()
    until(lambda: fleet.told()["rolls"] == 1)
    until(lambda: len(fleet.told()["gateways"]) == 2)
    assert [0, 1, 2] in fleet.shown
    until(lambda: len(fleet.shown[-1]) == 2)


def test_a_fleet_whose_first_gateway_cannot_start_says_so_and_ends(tmp_path):
    kind = Kind("gateway", "gateways", lambda slot, fd: [sys.executable, "-c", _WORKER, str(fd), "fail"])
    with pytest.raises(PlatformError, match="The first gateway cannot start"):
        Fleet(2, kind, tmp_path / "fleet.json").run(threading.Event())


def test_stopping_leaves_no_process_and_no_file(tmp_path):
    running = Running(tmp_path, size=3)
    until(lambda: len(running.serving()) == 3)
    pids = running.serving()
    running.end()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not running.file.exists()


def test_nothing_new_is_led_to_one_that_leaves_before_it_is_told_to(fleet):
    fleet.fleet.roll()
    until(lambda: fleet.told()["rolls"] == 1)
    until(lambda: len(fleet.told()["gateways"]) == 2)
    assert fleet.led[-1][0] == sorted(one["slot"] for one in fleet.told()["gateways"])
    for (before, _), (after, alive) in pairwise(fleet.led):
        gone = set(before) - set(after)
        assert gone <= set(alive), "it lived when it was said"
        assert len(after) >= 2 or not gone, "there are always enough"


def test_a_roll_waits_for_a_slot_where_all_are_taken(tmp_path):
    fleet = Running(tmp_path, size=2, slots=3)
    until(lambda: len(fleet.serving()) == 2)
    before = fleet.serving()
    fleet.fleet.roll()
    until(lambda: fleet.told()["rolls"] == 1)
    assert not fleet.serving() & before
    fleet.end()
    assert {slot for slots in fleet.shown for slot in slots} <= {0, 1, 2}


def test_fleets_that_are_kept_together_end_in_their_order_and_all_end_with_one_that_cannot_start(tmp_path):
    good = Kind("front", "fronts", lambda slot, fd: [sys.executable, "-c", _WORKER, str(fd), "serve"])
    bad = Kind("worker", "workers", lambda slot, fd: [sys.executable, "-c", _WORKER, str(fd), "fail"])
    fleets = [Fleet(1, good, tmp_path / "front.json"), Fleet(1, bad, tmp_path / "workers.json")]
    with pytest.raises(PlatformError, match="The first worker cannot start"):
        run_together(fleets, threading.Event())
    assert list(tmp_path.iterdir()) == []
    assert psutil.Process().children() == []


def test_gateways_end_when_their_fleet_is_killed(tmp_path):
    file = tmp_path / "fleet.json"
    with psutil.Popen([sys.executable, "-c", _FLEET, str(file), _WORKER]) as fleet:
        until(lambda: file.is_file() and file.read_text().count("serving") == 2)
        members = fleet.children()
        assert len(members) == 2
        fleet.kill()
    until(lambda: not any(member.is_running() and member.status() != "zombie" for member in members))
