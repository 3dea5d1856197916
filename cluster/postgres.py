"""The embedded PostgreSQL 18: our own initdb (passwords for everyone, loopback only), start, stop and health."""

from __future__ import annotations

import shutil
import signal
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cluster.credentials import SUPERUSER, ensure_credentials, write_private
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome, ensure_home, find_home
from cluster.postgres_tuning import configuration
from configs.settings import Settings
from receipts.database import DATABASE

_START_S = 120  # crash recovery of a large write-ahead log takes its time
_STOP_S = 30
_POLL_S = 0.1
_MAJOR = "18"
_BUSY = ("pre-existing shared memory block", "is still in use")  # orphans of a killed server are still leaving
_LOG_LINES = 4


def start(settings: Settings, extra: Mapping[str, str] | None = None) -> None:
    """Make the database cluster if there is none, and start its server unless it runs; returns when it answers.

    `extra` overrides single Postgres settings. Raises PlatformError with the server's own last words.
    """
    password = ensure_credentials(settings)[SUPERUSER]
    home = ensure_home(settings)
    for leftover in home.root.glob("initialising-*"):  # of a start that was killed half-way
        shutil.rmtree(leftover, ignore_errors=True)
    if not home.data.is_dir():
        _initialise(home, password)
    version = (home.data / "PG_VERSION").read_text().strip()
    if version != _MAJOR:
        raise PlatformError(f"{home.data} was made by PostgreSQL {version}; this platform runs {_MAJOR}.")
    if postmaster(home) is None:
        write_private(home.data / "receipts.conf", configuration(settings.database.embedded_port, extra).encode())
        _own(home, home.data / "receipts.conf")
        _launch(home, settings.database.embedded_port)
    _wait_until_answering(home, settings)


def stop(settings: Settings) -> None:
    """Stop the server if it runs; returns when its processes are gone."""
    server = server_process(settings)
    if server is None:
        return
    # A postmaster that is killed leaves its backends for a moment, and the next start would meet them.
    family = [server, *server.children(recursive=True)]
    for wish in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and the last resort
        _signal(server, wish)
        if not psutil.wait_procs(family, timeout=_STOP_S)[1]:
            return
    raise PlatformError(f"Postgres (process {server.pid}) does not stop.")


def is_running(settings: Settings) -> bool:
    """Say whether the embedded server accepts connections."""
    return server_process(settings) is not None and _answers(settings)


def server_process(settings: Settings) -> psutil.Process | None:
    """Return the live server process of the embedded server."""
    home = find_home(settings)
    return None if home is None else postmaster(home)


def admin_dsn(settings: Settings, dbname: str | None = None) -> str:
    """Return the connection string of the database's owner: `database.dsn`, or the embedded server's superuser."""
    if settings.database.dsn is not None:
        given = settings.database.dsn.get_secret_value()
        return make_conninfo(given, dbname=dbname) if dbname else make_conninfo("", **conninfo_to_dict(given))
    return make_conninfo(
        "",
        host="127.0.0.1",
        port=settings.database.embedded_port,
        dbname=dbname or DATABASE,
        user=SUPERUSER,
        password=ensure_credentials(settings)[SUPERUSER],
        application_name="receipts_admin",
        connect_timeout=5,
    )


def ensure_database(settings: Settings) -> None:
    """Create the database `receipts` on the embedded server if it is missing; a server of your own has its database."""
    if settings.database.dsn is not None:
        return
    with psycopg.connect(admin_dsn(settings, "postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute("CREATE DATABASE receipts")


def postmaster(home: PostgresHome) -> psutil.Process | None:
    """Return the live server process of this home. A stale postmaster.pid, even of a reused number, is nobody."""
    try:
        number = int((home.data / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(number)
        alive = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == home.data.resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if alive else None


def _initialise(home: PostgresHome, password: str) -> None:
    """Run initdb beside the final place and rename: a killed initdb leaves nothing that looks like a cluster."""
    unfinished = home.root / f"initialising-{uuid.uuid4().hex}"
    unfinished.mkdir(mode=0o700)
    _own(home, unfinished)
    password_file = unfinished / "password"
    write_private(password_file, password.encode())
    _own(home, password_file)
    fresh = unfinished / "data"
    result = home.run(
        home.command("initdb"),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth-host=scram-sha-256",
        "--auth-local=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    )
    if result.returncode != 0:
        raise PlatformError(f"initdb failed: {_last_lines(result.stderr)}")
    with (fresh / "postgresql.conf").open("a") as file:
        file.write("include 'receipts.conf'\n")
    fresh.rename(home.data)
    shutil.rmtree(unfinished)


def _launch(home: PostgresHome, port: int) -> None:
    """Start the server, trying again while the backends of a killed one are still leaving."""
    _clear_stale_lock(home)
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
            raise PlatformError(f"Postgres did not start: {_last_lines(said)} (log: {home.log})")
        time.sleep(_POLL_S)


def _clear_stale_lock(home: PostgresHome) -> None:
    """Remove a pid file whose number belongs to another program now, which Postgres would take for a server.

    Left alone while any process works in the data directory: orphans of a killed server still use its memory.
    """
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == home.data.resolve():
                return
        except (OSError, psutil.Error):  # it ended, or belongs to somebody whose directory we may not see
            continue
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def _pid_file_says_ready(home: PostgresHome) -> bool:
    """Read the state the server keeps in the eighth line of its pid file."""
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _wait_until_answering(home: PostgresHome, settings: Settings) -> None:
    deadline = time.monotonic() + _START_S
    while not _answers(settings):
        if time.monotonic() > deadline or postmaster(home) is None:
            raise PlatformError(f"Postgres does not answer on port {settings.database.embedded_port}; see {home.log}.")
        time.sleep(_POLL_S)


def _answers(settings: Settings) -> bool:
    address = f"host=127.0.0.1 port={settings.database.embedded_port} dbname=postgres connect_timeout=2"
    return psycopg.pq.PGconn.ping(address.encode()) == psycopg.pq.Ping.OK


def _own(home: PostgresHome, path: Path) -> None:
    if home.run_as is not None:
        shutil.chown(path, home.run_as.uid, home.run_as.gid)


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


def _last_lines(text: str) -> str:
    return " / ".join(line.strip() for line in text.strip().splitlines()[-_LOG_LINES:]) or "it said nothing"
