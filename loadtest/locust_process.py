"""One run of Locust in processes of its own, followed second by second, and ended so that its report is whole."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from loadtest.journeys import CALLS
from receipts.errors import ReceiptsError, Unavailable

BATCH = "batch"
JOURNEYS = (*dict.fromkeys(kind.tag for kind in CALLS), BATCH)  # what may be chosen: the tags in the locustfile
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
MASTER_PORT = 5557  # as Locust has it
_GRACE_S = 5  # for requests under way at the end
_START_S = 60  # Locust imports in seconds even on a busy machine; beyond this it hangs
_WORKERS_S = 300  # how long workers on other machines may take to come
_PER_CALLER = 10.0  # lookups a second that one connection is asked for: answers of up to 100 ms keep the rate


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to press, with what, and for how long: reps who think, or a constant rate of lookups."""

    reps: int = 20
    rate: float | None = None  # lookups per second without reps
    ramp_up_s: float = 2.0  # before `duration_s`
    duration_s: int = 30
    think: float = 1.0
    calls: int = 0  # after which everybody stops, and the run ends; 0 for none
    journeys: Sequence[str] = ()  # only these; empty for all

    def users(self) -> Mapping[str, int]:
        """Return how many users of each class of the locustfile there are."""
        if self.rate is not None:
            return {"Caller": max(1, math.ceil(self.rate / _PER_CALLER))}
        wanted = set(self.journeys or JOURNEYS)
        chosen = {"Rep": self.reps} if wanted - {BATCH} else {}
        return chosen | ({"Integration": 1} if BATCH in wanted else {})

    def options(self) -> dict[str, object]:
        """Return Locust's options for it."""
        users = sum(self.users().values())
        return {
            "users": users,
            "spawn-rate": users / max(self.ramp_up_s, 0.1),
            "run-time": f"{math.ceil(self.ramp_up_s) + self.duration_s}s",
            "think": self.think,
            "calls": self.calls,
            "interval": users / self.rate if self.rate else 1.0,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where the driver runs: processes here, or workers elsewhere who come to a master here."""

    host: str
    kit: Path
    processes: int = 1
    remote: int = 0  # workers on other machines
    listen: str = "127.0.0.1"  # where the master waits for them
    port: int = MASTER_PORT
    web_port: int | None = None  # of Locust's page, on loopback; None for none

    @property
    def workers(self) -> int:
        """Return how many processes press."""
        return self.remote or self.processes

    def options(self) -> dict[str, object]:
        """Return Locust's options for it; those that are True have no value."""
        own: dict[str, object] = {"host": self.host, "kit": self.kit}
        if self.remote:
            own |= {
                "master": True,
                "master-bind-host": self.listen,
                "master-bind-port": self.port,
                "expect-workers": self.remote,
                "expect-workers-max-wait": _WORKERS_S,
            }
        elif self.processes > 1:
            # The workers find the master's port by --master-port, also where Locust forks them itself.
            own |= {"processes": self.processes, "master-bind-host": "127.0.0.1"}
            own |= {"master-bind-port": self.port, "master-port": self.port}
        if self.web_port is not None:
            return own | {"web-host": "127.0.0.1", "web-port": self.web_port}
        return own | {"headless": True}


@dataclass(frozen=True, slots=True)
class Papers:
    """What Locust writes beside the statistics; None for what is not wanted."""

    html: Path | None = None
    csv: Path | None = None  # the beginning of the files' names

    def options(self) -> dict[str, object]:
        """Return Locust's options for it."""
        wanted = {"html": self.html, "csv": self.csv, "csv-full-history": True if self.csv else None}
        return {name: value for name, value in wanted.items() if value is not None}


class Ended(NamedTuple):
    """What a run left: statistics, one entry a route, its last words, and whether it was ended early."""

    entries: Sequence[Mapping[str, Any]]
    words: Mapping[str, Any]
    interrupted: bool


def command(load: Load, place: Place, papers: Papers, statistics: Path) -> Sequence[str]:
    """Return the command line of a run; Locust writes `<statistics>.json`."""
    options: dict[str, object] = {
        "locustfile": LOCUSTFILE,
        "stop-timeout": _GRACE_S,
        "exit-code-on-error": 0,  # failures are ours to report, by route
        "json-file": statistics,
        "loglevel": "WARNING",
        "only-summary": True,
        **place.options(),
        **load.options(),
        **papers.options(),
    }
    tags = ("--tags", *load.journeys, "--") if load.journeys else ()
    return (*_locust(options), *tags, *load.users())


def worker_command(master: str, port: int, kit: Path, processes: int) -> Sequence[str]:
    """Return the command line of workers for a master on another machine."""
    options: dict[str, object] = {
        "locustfile": LOCUSTFILE,
        "worker": True,
        "master-host": master,
        "master-port": port,
        "kit": kit,
        "loglevel": "WARNING",
    }
    return _locust(options | ({"processes": processes} if processes > 1 else {}))


def run(load: Load, place: Place, papers: Papers, scratch: Path, tell: Callable[[Mapping[str, Any]], None]) -> Ended:
    """Run Locust to its end, or until the caller is interrupted, and return what it saw. `tell` hears every second.

    Raises Unavailable when no request was made, and ReceiptsError with Locust's last words when it failed.
    """
    statistics, log = scratch / "statistics", scratch / "locust.log"
    longest_s = (
        None if place.web_port is not None else load.duration_s + load.ramp_up_s + _GRACE_S + _START_S + _WORKERS_S
    )
    words: Mapping[str, Any] = {}
    interrupted = False
    with log.open("w") as errors, _started(command(load, place, papers, statistics), errors, longest_s) as process:
        assert process.stdout is not None
        while True:
            try:
                for line in process.stdout:
                    told: dict[str, Any] = json.loads(line)
                    if told.get("ended"):
                        words = told
                    else:
                        tell(told)
                break
            except KeyboardInterrupt:
                if interrupted:  # a second time: at once, without a report
                    raise
                interrupted = True
                process.send_signal(signal.SIGINT)
        status = process.wait()
    return _read(statistics.with_suffix(".json"), words, status, log, interrupted=interrupted)


def _read(statistics: Path, words: Mapping[str, Any], status: int, log: Path, *, interrupted: bool) -> Ended:
    if status != 0 or not statistics.is_file() or not words:
        said = [line for line in log.read_text().splitlines() if line.strip()]
        if interrupted:
            raise Unavailable("The load test was ended before it had begun.")
        raise ReceiptsError(f"Locust ended with status {status}: {' '.join(said[-1:])}")
    entries: list[dict[str, Any]] = json.loads(statistics.read_text())
    if not entries:
        raise Unavailable("Locust made no request; is the platform up? See `receipts status`.")
    return Ended(entries, words, interrupted)


@contextmanager
def _started(arguments: Sequence[str], errors: IO[str], longest_s: float | None) -> Generator[subprocess.Popen[str]]:
    """Run a process in a session of its own, so that Ctrl-C reaches us alone, and kill it if it outlives its time."""
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    )
    watch = threading.Timer(longest_s, _kill, (process,)) if longest_s else None
    if watch is not None:
        watch.start()
    try:
        with process:
            try:
                yield process
            finally:
                _kill(process)
    finally:
        if watch is not None:
            watch.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process that has not ended, and the workers it forked."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _locust(options: Mapping[str, object]) -> Sequence[str]:
    given = (f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items())
    return (sys.executable, "-m", "locust", *given)
