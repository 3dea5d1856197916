"""Processes of one kind on a node: as many as are wanted, replaced when they die, and rolled one by one."""

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
from itertools import islice
from pathlib import Path

from cluster.credentials import write_private
from cluster.errors import PlatformError
from ingest.backoff import delays
from ingest.lifeline import READY

_log = logging.getLogger(__name__)
_POLL_S = 0.05
_READY_S = 120.0  # a process that imports large libraries on a machine that is busy starting everything else
_GRACE_S = 15.0  # far longer than a gateway takes to acknowledge what it has read, or a portal to answer
_SETTLED_S = 10.0  # a process that dies sooner is started again with growing delays

Command = Callable[[int, int], Sequence[str]]  # (slot, file descriptor of the lifeline) -> how to start a member
Slots = Callable[[Sequence[int]], None]


class State(StrEnum):
    """What a member is doing."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"  # takes nothing new, finishes what it has


@dataclass(frozen=True, slots=True)
class Kind:
    """What the members of a fleet are, how one is started, and who hears of their slots at each change.

    `show` hears the slots of members and, while too few are there, of the next to start, whose silence is then
    noticed. `lead` hears those that take new work, and that one is no longer among them before it is told to leave.
    """

    one: str  # "gateway"
    many: str
    command: Command
    slots: int = 128  # most at once, those that leave included
    show: Slots = lambda _: None
    lead: Slots = lambda _: None


@dataclass(slots=True)
class Member:
    """One process. `slot` is its number on this node, lent to nobody else while it lives."""

    slot: int
    process: subprocess.Popen[bytes]
    lifeline: socket.socket
    since: float = field(default_factory=time.monotonic)
    state: State = State.STARTING


class Fleet:
    """Keeps `size` members serving until told to stop; `roll` replaces every one by a new process.

    A replacement serves before its predecessor is told to leave, so there are always enough. `state_file` says who is
    a member, for the command that waits for a roll.
    """

    def __init__(self, size: int, kind: Kind, state_file: Path) -> None:
        self._size = size
        self._kind = kind
        self._state_file = state_file
        self._shown: Sequence[int] = ()
        self._leading: Sequence[int] = ()
        self._members: list[Member] = []
        self._to_replace: set[int] = set()  # pids
        self._rolls = 0  # completed
        self._waits = delays(0.1, 5.0)
        self._not_before = 0.0  # of the next start, after a member died early
        self._told: object = None
        self._roll = threading.Event()
        self._served = False  # whether any member ever did

    def roll(self) -> None:
        """Ask for every member to be replaced; returns at once."""
        self._roll.set()

    def run(self, stop: threading.Event) -> None:
        """Look after the members until `stop` is set, then let them finish and return when they are gone.

        Raises PlatformError when the first one ends before any has served: its settings are wrong, which no
        repetition mends.
        """
        run_together((self,), stop)

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
        self._tell_lead()
        self._show_slots()

    def end(self) -> None:
        """End all members: gently, then by force. Also what a failure of the fleet itself leaves behind."""
        for member in list(self._members):
            self._let_go(member)
        while self._members:
            for member in list(self._members):
                self._examine(member)
            self._tell()
            time.sleep(_POLL_S)
        self._state_file.unlink(missing_ok=True)
        self._kind.show(())

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
            _log.warning("The %s %d does not come to an end or a start and is killed.", self._kind.one, member.slot)
            member.process.kill()

    def _bury(self, member: Member) -> None:
        member.lifeline.close()
        self._members.remove(member)
        self._to_replace.discard(member.process.pid)
        if member.state is State.STARTING and not self._served:
            raise PlatformError(f"The first {self._kind.one} cannot start; the reason stands above.")
        if member.state is not State.LEAVING:
            ended = (self._kind.one, member.slot, member.process.returncode)
            _log.error("The %s %d ended with status %s; another takes its place.", *ended)
            if time.monotonic() - member.since < _SETTLED_S:
                self._not_before = time.monotonic() + next(self._waits)

    def _replace_one(self) -> None:
        """Let one old member go when there is one more than needed that serves."""
        if not self._to_replace:
            return
        serving = [member for member in self._members if member.state is State.SERVING]
        old = [member for member in serving if member.process.pid in self._to_replace]
        if old and len(serving) > self._size:
            self._let_go(old[0])
            self._to_replace.discard(old[0].process.pid)
            if not self._to_replace:
                self._rolls += 1

    def _let_go(self, member: Member) -> None:
        """Ask a member to finish, once nothing new is led to it."""
        if member.state is not State.LEAVING:
            member.state, member.since = State.LEAVING, time.monotonic()
            self._tell_lead()
            member.process.terminate()

    def _staying(self) -> list[Member]:
        return [member for member in self._members if member.state is not State.LEAVING]

    def _start(self) -> None:
        slot = next(self._free_slots(), None)
        if slot is None:  # until one that leaves is gone
            return
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        with theirs:
            command = self._kind.command(slot, theirs.fileno())
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._members.append(Member(slot, process, ours))

    def _free_slots(self) -> Iterator[int]:
        taken = {member.slot for member in self._members}
        return (slot for slot in range(self._kind.slots) if slot not in taken)

    def _tell(self) -> None:
        members = [
            {"slot": member.slot, "pid": member.process.pid, "state": member.state.value} for member in self._members
        ]
        told = {"wanted": self._size, "rolls": self._rolls, "rolling": bool(self._to_replace)}
        told |= {self._kind.many: members}
        if told != self._told:
            self._told = told
            write_private(self._state_file, json.dumps(told).encode())

    def _tell_lead(self) -> None:
        leading = sorted(member.slot for member in self._members if member.state is State.SERVING)
        if leading != self._leading:
            self._leading = leading
            self._kind.lead(leading)

    def _show_slots(self) -> None:
        missing = max(0, self._size - len(self._staying()))
        slots = sorted([*(member.slot for member in self._members), *islice(self._free_slots(), missing)])
        if slots != self._shown:
            self._shown = slots
            self._kind.show(slots)


def run_together(fleets: Sequence[Fleet], stop: threading.Event) -> None:
    """Look after several fleets until `stop` is set, then end them in this order. Raises as `Fleet.run` does."""
    try:
        while not stop.is_set():
            for fleet in fleets:
                fleet.look()
            stop.wait(_POLL_S)
    finally:
        for fleet in fleets:
            fleet.end()
