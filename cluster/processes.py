"""Long-running processes that `receipts up` starts: each in its own session, recorded, found again and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from cluster.credentials import write_private
from cluster.errors import PlatformError
from configs.settings import Settings
from receipts.log_files import put_aside

_POLL_S = 0.1
_KILLED_S = 10  # the kernel needs a moment to end a killed process; far less than this
_ORPHANS_S = 2  # without the process that led them they have nothing left to finish
_CREATED_WITHIN_S = 1.0  # the boot time that creation times are counted from may be corrected by the clock
_LAST_BYTES = 2_000
# The process waits for a word before it becomes the program, and ends without it: when `up` is killed before the
# record is written, nothing runs that nobody knows of.
_GATE = 'read -r go && exec "$@" </dev/null'


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `state_dir/run/<name>.json` says about a process."""

    name: str
    pid: int
    created: float
    command: list[str]


def log_file(settings: Settings, name: str) -> Path:
    """Return where a process logs to."""
    return settings.state_dir.resolve() / "log" / f"{name}.log"


def start_process(
    settings: Settings, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> psutil.Process:
    """Start a process in a session of its own and record it; `environment` is added to the caller's.

    The process outlives the caller. Its output is appended to its log. Raises PlatformError when one by that name
    runs already.
    """
    child, process = _spawn(settings, name, command, environment or {})
    # Collects its exit status when it ends, so that no zombie looks like a live process to a caller that stays.
    threading.Thread(target=child.wait, name=f"reaper-{name}", daemon=True).start()
    return process


def run_process(settings: Settings, name: str, command: Sequence[str]) -> int:
    """Run a process as `start_process` does, wait for its end and return its exit status.

    It is stopped when the caller is interrupted, and found by the next caller when the caller is killed.
    """
    child, _ = _spawn(settings, name, command, {})
    try:
        return child.wait()
    finally:
        stop_process(settings, name, _ORPHANS_S)
        child.wait()


def find_process(settings: Settings, name: str) -> psutil.Process | None:
    """Return a recorded process that lives; a process that merely got the same number is not it."""
    record = read_record(settings, name)
    if record is None:
        return None
    process = _holder(record.pid)
    return process if process is not None and _is_same(process, record) and is_alive(process) else None


def read_record(settings: Settings, name: str) -> Recorded | None:
    """Return what was recorded when a process was started, or none when none was."""
    path = _record(settings, name)
    return Recorded(**json.loads(path.read_text())) if path.is_file() else None


def stop_process(settings: Settings, name: str, grace_s: float) -> bool:
    """Stop a recorded process and all it started: SIGTERM, then SIGKILL after `grace_s`; say whether it ran.

    What is left of a process that died before (its children, in its session) is ended too.
    """
    record = read_record(settings, name)
    if record is None:
        return False
    leader = find_process(settings, name)
    family = _family(record, leader)
    asked = family if leader is None else [leader]
    for process in asked:
        _send(process, signal.SIGTERM)
    _wait(asked, _ORPHANS_S if leader is None else grace_s)
    # Also those born since: a leader may start processes while it shuts down.
    family = list({process.pid: process for process in (*family, *_family(record, leader))}.values())
    alive = [process for process in family if is_alive(process)]
    for process in alive:
        _send(process, signal.SIGKILL)
    if _wait(alive, _KILLED_S):
        raise PlatformError(f"{name} (process {record.pid}) does not stop.")
    _record(settings, name).unlink(missing_ok=True)
    return leader is not None


def is_alive(process: psutil.Process) -> bool:
    """Say whether a process runs; a zombie has ended and only waits to be noticed."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def last_words(settings: Settings, name: str, lines: int = 3) -> str:
    """Return the end of a process' log, for an error message."""
    log = log_file(settings, name)
    if not log.is_file():
        return "it said nothing"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        text = file.read().decode(errors="replace")
    return " / ".join(_in_words(line) for line in text.strip().splitlines()[-lines:]) or "it said nothing"


def _in_words(line: str) -> str:
    """Return what a line of a log says, of one in JSON its message and error alone."""
    try:
        told = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(told, dict) or "message" not in told:
        return line.strip()
    return " ".join(str(told[name]) for name in ("message", "error") if name in told)


def _spawn(
    settings: Settings, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    if find_process(settings, name) is not None:
        raise PlatformError(f"{name} runs already.")
    log = log_file(settings, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    put_aside(log, settings.logs)
    added = [f"{key}={value}" for key, value in environment.items()]
    with log.open("ab") as output:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, name, "/usr/bin/env", *added, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = psutil.Process(child.pid)  # asked while it waits for the word: it may end at once
    record = Recorded(name, child.pid, process.create_time(), list(command))
    write_private(_record(settings, name), json.dumps(asdict(record)).encode())
    if child.stdin is not None:
        child.stdin.write(b"go\n")
        child.stdin.close()
    return child, process


def _record(settings: Settings, name: str) -> Path:
    return settings.state_dir.resolve() / "run" / f"{name}.json"


def _family(record: Recorded, leader: psutil.Process | None) -> list[psutil.Process]:
    """Return the process, its descendants and everybody else in the session it leads."""
    found: dict[int, psutil.Process] = {}
    if leader is not None:
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in [leader, *leader.children(recursive=True)]}
    else:
        holder = _holder(record.pid)
        if holder is not None and not _is_same(holder, record):
            return []  # the number is somebody else's now, which the kernel allows only when our session has ended
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if pid not in found and os.getsid(pid) == record.pid:
                found[pid] = psutil.Process(pid)
    return list(found.values())


def _holder(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_same(process: psutil.Process, record: Recorded) -> bool:
    try:
        return abs(process.create_time() - record.created) < _CREATED_WITHIN_S
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes to end and return those that have not; a zombie has ended."""
    deadline = time.monotonic() + timeout_s
    while True:
        alive = [process for process in processes if is_alive(process)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(_POLL_S)
