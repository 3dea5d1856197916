"""The gateways of one node: as many as are wanted behind one port, replaced when they die, and rolled one by one."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, islice
from pathlib import Path

from cluster.credentials import write_private
from cluster.errors import PlatformError
from ingest.backoff import delays
from ingest.lifeline import READY

_log = logging.getLogger(__name__)
_POLL_S = 0.05
_READY_S = 60.0  # a process that imports Delta and gRPC on a machine that is busy starting everything else
_GRACE_S = 15.0  # far longer than a gateway takes to acknowledge what it has read
_SETTLED_S = 10.0  # a gateway that dies sooner is started again with growing delays

Command = Callable[[int, int], Sequence[str]]  # (slot, file descriptor of the lifeline) -> how to start a gateway
Show = Callable[[Sequence[int]], None]  # hears the slots in which a gateway is, or should be


class State(StrEnum):
    """What a gateway is doing."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"  # takes no new streams, acknowledges what it has read


@dataclass(slots=True)
class Member:
    """One gateway process. `slot` is its number on this node, lent to nobody else while it lives."""

    slot: int
    process: subprocess.Popen[bytes]
    lifeline: socket.socket
    since: float = field(default_factory=time.monotonic)
    state: State = State.STARTING

    def leave(self) -> None:
        """Ask the gateway to finish."""
        if self.state is not State.LEAVING:
            self.state, self.since = State.LEAVING, time.monotonic()
            self.process.terminate()


class Fleet:
    """Keeps `size` gateways serving until told to stop; `roll` replaces every one by a new process.

    A replacement serves before its predecessor is told to leave, so the port always has a listener. `state_file` says
    who is a member, for `receipts status` and for the command that waits for a roll; `show` hears of their slots at
    each change: those of members and, while too few are there, of the next to start, whose silence is then noticed.
    """

    def __init__(self, size: int, command: Command, state_file: Path, show: Show = lambda _: None) -> None:
        self._size = size
        self._command = command
        self._state_file = state_file
        self._show = show
        self._shown: Sequence[int] = ()
        self._members: list[Member] = []
        self._to_replace: set[int] = set()  # pids
        self._rolls = 0  # completed
        self._waits = delays(0.1, 5.0)
        self._not_before = 0.0  # of the next start, after a gateway died early
        self._told: object = None
        self._roll = threading.Event()
        self._served = False  # whether any gateway ever did

    def roll(self) -> None:
        """Ask for every gateway to be replaced; returns at once."""
        self._roll.set()

    def run(self, stop: threading.Event) -> None:
        """Look after the gateways until `stop` is set, then let them finish and return when they are gone.

        Raises PlatformError when the first one ends before any has served: its settings are wrong, which no
        repetition mends.
        """
        try:
            while not stop.is_set():
                self.look()
                stop.wait(_POLL_S)
        finally:
            self._stop()

    def look(self) -> None:
        """Do what is to be done now: bury the dead, hear the ready, start the missing, replace the old."""
        for member in list(self._members):
            self._examine(member)
        if self._roll.is_set() and not self._to_replace:
            self._roll.clear()
            self._to_replace = {member.process.pid for member in self._staying()}
        self._replace_one()
        if len(self._staying()) < self._size + bool(self._to_replace) and time.monotonic() >= self._not_before:
            self._start()
        self._tell()
        self._show_slots()

    def _examine(self, member: Member) -> None:
        if member.process.poll() is not None:
            self._bury(member)
            return
        if member.state is State.STARTING:
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                if member.lifeline.recv(1) == READY:
                    member.state = State.SERVING
                    self._served = True
                    self._waits = delays(0.1, 5.0)
        age = time.monotonic() - member.since
        if (member.state is State.STARTING and age > _READY_S) or (member.state is State.LEAVING and age > _GRACE_S):
            _log.warning("Gateway %d does not come to an end or a start and is killed.", member.slot)
            member.process.kill()

    def _bury(self, member: Member) -> None:
        member.lifeline.close()
        self._members.remove(member)
        self._to_replace.discard(member.process.pid)
        if member.state is State.STARTING and not self._served:
            raise PlatformError("The gateways cannot start; the reason stands above.")
        if member.state is not State.LEAVING:
            _log.error(
                "Gateway %d ended with status %s; another takes its place.", member.slot, member.process.returncode
            )
            if time.monotonic() - member.since < _SETTLED_S:
                self._not_before = time.monotonic() + next(self._waits)

    def _replace_one(self) -> None:
        """Let one old gateway go when there is one more than needed that serves."""
        if not self._to_replace:
            return
        serving = [member for member in self._members if member.state is State.SERVING]
        old = [member for member in serving if member.process.pid in self._to_replace]
        if old and len(serving) > self._size:
            old[0].leave()
            self._to_replace.discard(old[0].process.pid)
            if not self._to_replace:
                self._rolls += 1

    def _staying(self) -> list[Member]:
        return [member for member in self._members if member.state is not State.LEAVING]

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        slot = next(self._free_slots())
        with theirs:
            process = subprocess.Popen(
                self._command(slot, theirs.fileno()), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._members.append(Member(slot, process, ours))

    def _free_slots(self) -> Iterator[int]:
        taken = {member.slot for member in self._members}
        return (slot for slot in count() if slot not in taken)

    def _stop(self) -> None:
        """End all: gently, then by force. Also what a failure of the fleet itself leaves behind."""
        for member in self._members:
            member.leave()
        while self._members:
            for member in list(self._members):
                self._examine(member)
            self._tell()
            time.sleep(_POLL_S)
        self._state_file.unlink(missing_ok=True)
        self._show(())

    def _tell(self) -> None:
        members = [
            {"slot": member.slot, "pid": member.process.pid, "state": member.state.value} for member in self._members
        ]
        told = {"wanted": self._size, "rolls": self._rolls, "rolling": bool(self._to_replace), "gateways": members}
        if told != self._told:
            self._told = told
            write_private(self._state_file, json.dumps(told).encode())

    def _show_slots(self) -> None:
        missing = max(0, self._size - len(self._staying()))
        slots = sorted([*(member.slot for member in self._members), *islice(self._free_slots(), missing)])
        if slots != self._shown:
            self._shown = slots
            self._show(slots)
