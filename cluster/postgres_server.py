"""One embedded Postgres server as a process: configured, started, asked, stopped, and its orphans ended."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg

from cluster.credentials import write_private
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome
from configs.logs import LogSettings
from receipts.log_files import put_aside
from receipts.postgres_servers import LOOPBACK

_START_S = 120  # crash recovery of a large write-ahead log takes its time
_STOP_S = 30
_POLL_S = 0.1
_KILLED_S = 10  # the kernel needs a moment to end a killed process; far less than this
_BUSY = ("pre-existing shared memory block", "is still in use")  # orphans of a killed server are still leaving
_LOG_LINES = 4


def postmaster(home: PostgresHome) -> psutil.Process | None:
    """Return the live server process of this home. A stale postmaster.pid, even of a reused number, is nobody."""
    try:
        number = int((home.data / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(number)
        alive = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == home.data.resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if alive else None


def answers(port: int) -> bool:
    """Say whether a server on this machine's port accepts connections."""
    address = f"host={LOOPBACK} port={port} dbname=postgres connect_timeout=2"
    return psycopg.pq.PGconn.ping(address.encode()) == psycopg.pq.Ping.OK


def configure(home: PostgresHome, text: str) -> None:
    """Write receipts.conf; a server that runs reads it at once, as far as a running server can."""
    write_owned(home, home.data / "receipts.conf", text)
    server = postmaster(home)
    if server is not None:
        _signal(server, signal.SIGHUP)


def start(home: PostgresHome, port: int) -> None:
    """Start a configured server and return when it answers. Raises PlatformError with its own last words."""
    if postmaster(home) is None:
        _launch(home, port)
    deadline = time.monotonic() + _START_S
    while not answers(port):
        if time.monotonic() > deadline or postmaster(home) is None:
            raise PlatformError(f"Postgres does not answer on port {port}; see {home.log}.")
        time.sleep(_POLL_S)


def stop(home: PostgresHome) -> None:
    """Stop the server if it runs; returns when its processes are gone. It first sends its standbys all it has."""
    server = postmaster(home)
    if server is None:
        return
    # A postmaster that is killed leaves its backends for a moment, and the next start would meet them.
    family = [server, *server.children(recursive=True)]
    for wish in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and the last resort
        _signal(server, wish)
        if not psutil.wait_procs(family, timeout=_STOP_S)[1]:
            return
    raise PlatformError(f"Postgres (process {server.pid}) does not stop.")


def end_orphans(home: PostgresHome) -> None:
    """Kill what a dead server left: one of its backends could still answer a client that something is committed."""
    orphans = list(_working_in(home))
    for process in orphans:
        _signal(process, signal.SIGKILL)
    if psutil.wait_procs(orphans, timeout=_KILLED_S)[1]:
        raise PlatformError(f"Processes of the dead server in {home.data} do not end.")
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def own(home: PostgresHome, path: Path) -> None:
    """Give a file or directory to the server's user."""
    if home.run_as is not None:
        shutil.chown(path, home.run_as.uid, home.run_as.gid)


def write_owned(home: PostgresHome, path: Path, text: str) -> None:
    """Write a file that only the server's user may read."""
    write_private(path, text.encode())
    own(home, path)


def last_lines(text: str) -> str:
    """Return the end of what a program said, in one line."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-_LOG_LINES:]) or "it said nothing"


def _launch(home: PostgresHome, port: int) -> None:
    """Start the server, trying again while the backends of a killed one are still leaving."""
    _clear_stale_lock(home)
    put_aside(home.log, LogSettings())
    deadline = time.monotonic() + _START_S
    while True:
        seen = home.log.stat().st_size if home.log.is_file() else 0
        started = home.run(
            *(home.command("pg_ctl"), "start", "--no-wait", "--silent"), f"--pgdata={home.data}", f"--log={home.log}"
        )
        said = started.stderr
        while started.returncode == 0 and time.monotonic() < deadline:
            said = _since(home.log, seen)
            if postmaster(home) is not None and _pid_file_says_ready(home):
                return
            if "database system is shut down" in said or ("FATAL" in said and postmaster(home) is None):
                break
            time.sleep(_POLL_S)
        if "Address already in use" in said:
            raise PlatformError(
                f"Port {port} is taken by another program; set RECEIPTS_DATABASE__EMBEDDED_PORT to a free one."
            )
        if time.monotonic() > deadline or not any(reason in said for reason in _BUSY):
            raise PlatformError(f"Postgres did not start: {last_lines(said)} (log: {home.log})")
        time.sleep(_POLL_S)


def _clear_stale_lock(home: PostgresHome) -> None:
    """Remove a pid file whose number belongs to another program now, which Postgres would take for a server.

    Left alone while any process works in the data directory: orphans of a killed server still use its memory.
    """
    if next(_working_in(home), None) is None:
        (home.data / "postmaster.pid").unlink(missing_ok=True)


def _working_in(home: PostgresHome) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == home.data.resolve():
                yield process
        except (OSError, psutil.Error):  # it ended, or belongs to somebody whose directory we may not see
            continue


def _pid_file_says_ready(home: PostgresHome) -> bool:
    """Read the state the server keeps in the eighth line of its pid file."""
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _since(log: Path, offset: int) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
