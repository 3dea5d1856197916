"""Standbys of the embedded Postgres: copies of the primary that follow it, are read, and can take its place."""

from __future__ import annotations

import logging
import shutil
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import class_row

from cluster import postgres, postgres_server
from cluster.credentials import REPLICATION, ensure_credentials
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome, ensure_home, find_home, home_of
from cluster.postgres_server import last_lines, own, postmaster, write_owned
from cluster.replication import FOLLOWS, SQL, configuration_of, decide, ensure_login, keep_slots, replication_login
from configs.settings import Settings
from receipts.postgres_servers import FIRST, LOOPBACK, Server, Servers, read_servers

_log = logging.getLogger(__name__)
_COPY_S = 24 * 3600.0  # a terabyte takes hours; whoever started it can interrupt it
_FOLLOWS_S = 60  # until a standby that was started has found its primary
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Follower:
    """What the primary says of a standby. `sync_state` is `quorum` where commits wait for it, else `async`."""

    name: str
    state: str
    sync_state: str
    lag_bytes: int
    lag_s: float


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server: `role` is primary, standby or fenced; `state` streaming, catching up, running or down."""

    name: str
    port: int
    role: str
    state: str
    sync_state: str | None = None
    lag_bytes: int | None = None
    lag_s: float | None = None


def list_servers(settings: Settings) -> list[ServerState]:
    """Return all embedded servers, the primary first, as far as they can be asked."""
    servers, first = read_servers(settings), find_home(settings)
    followers = {one.name: one for one in _list_followers(settings)}
    told: list[ServerState] = []
    for server in (servers.primary, *servers.others):
        role = "primary" if server == servers.primary else "fenced" if server.fenced else "standby"
        alive = first is not None and postmaster(home_of(first, server.name)) is not None
        follower = followers.get(server.name)
        if follower is None:
            state = "down" if not alive else "running" if role == "primary" else "not following"
            told.append(ServerState(server.name, server.port, role, state))
        else:
            measured = follower.sync_state, follower.lag_bytes, follower.lag_s
            told.append(ServerState(server.name, server.port, role, follower.state, *measured))
    return told


def add_standby(settings: Settings, port: int | None = None, *, synchronous: bool = True) -> Server:
    """Copy the running primary and start the copy; returns when it follows.

    Its port is the first free one after the primary's unless given. A copy that is killed half-way is begun anew by
    the next. Raises PlatformError.
    """
    first, servers = running_primary(settings)
    server = Server(_free_name(servers), port or _free_port(servers))
    grown = replace(servers, others=(*servers.others, server), synchronous=synchronous)
    copy_primary(settings, first, grown, server)
    decide(settings, first, grown)
    postgres.start_standby(first, grown, server)
    await_following(settings, server)
    return server


def remove_standby(settings: Settings, name: str) -> None:
    """Stop a standby, let go of its place in the log and delete its data. Raises PlatformError."""
    first, servers = running_primary(settings)
    server = named(servers, name)
    left = replace(servers, others=tuple(one for one in servers.others if one != server))
    decide(settings, first, left)  # before it ends: no commit may wait for it
    home = home_of(first, name)
    postgres_server.stop(home)
    postgres_server.end_orphans(home)
    keep_slots(postgres.admin_dsn(settings, "postgres"), [one.name for one in left.others])
    shutil.rmtree(home.data if name == FIRST else home.root, ignore_errors=True)


def rejoin(settings: Settings, name: str) -> str:
    """Make a server follow the primary again: by pg_rewind, or by a new copy. Returns which of them it took.

    What an old primary wrote and nobody received is gone with this. Raises PlatformError.
    """
    first, servers = running_primary(settings)
    server = named(servers, name)
    home = home_of(first, name)
    postgres_server.stop(home)
    postgres_server.end_orphans(home)
    back = replace(server, fenced=False)
    joined = replace(servers, others=tuple(back if one == server else one for one in servers.others))
    keep_slots(postgres.admin_dsn(settings, "postgres"), [one.name for one in joined.others])
    # Only one that was a primary has something to take back; a standby that cannot follow lacks what nobody kept.
    if server.fenced and _rewind(first, servers, home, name) and _follows_again(settings, first, joined, back):
        return "rewound"
    postgres_server.stop(home)
    copy_primary(settings, first, joined, back)
    decide(settings, first, joined)
    postgres.start_standby(first, joined, back)
    await_following(settings, back)
    return "copied"


def copy_primary(settings: Settings, first: PostgresHome, servers: Servers, server: Server) -> None:
    """Make a standby's data anew from the running primary; what was there is kept until the copy is whole."""
    admin = postgres.admin_dsn(settings, "postgres")
    ensure_login(first, admin, ensure_credentials(settings)[REPLICATION])
    keep_slots(admin, [one.name for one in servers.others])
    home = home_of(first, server.name)
    home.root.mkdir(mode=0o700, exist_ok=True)
    own(home, home.root)
    for leftover in home.root.glob("initialising-*"):
        shutil.rmtree(leftover)
    unfinished = home.root / f"initialising-{uuid.uuid4().hex}"
    copied = home.run(
        home.command("pg_basebackup"),
        f"--pgdata={unfinished}",
        f"--dbname={replication_login(first, servers.primary, server.name)}",
        f"--slot={server.name}",
        "--wal-method=stream",
        "--checkpoint=fast",
        timeout_s=_COPY_S,
    )
    if copied.returncode != 0:
        raise PlatformError(f"Copying the primary failed: {last_lines(copied.stderr)}")
    write_owned(home, unfinished / "receipts.conf", configuration_of(first, servers, server))
    write_owned(home, unfinished / FOLLOWS, "")
    shutil.rmtree(home.data, ignore_errors=True)
    unfinished.rename(home.data)


def running_primary(settings: Settings) -> tuple[PostgresHome, Servers]:
    """Return the first server's home and all servers. Raises PlatformError when the primary does not run here."""
    require_embedded(settings)
    if not postgres.is_running(settings):
        raise PlatformError("The embedded Postgres does not run: `receipts up --only postgres` first.")
    return ensure_home(settings), read_servers(settings)


def require_embedded(settings: Settings) -> None:
    """Raise PlatformError when the database is a server of your own."""
    if settings.database.dsn is not None:
        raise PlatformError(
            "RECEIPTS_DATABASE__DSN names a server of your own: make its standbys with its own tools and name them in "
            "RECEIPTS_DATABASE__READ_DSN (docs/failover.md)."
        )


def named(servers: Servers, name: str) -> Server:
    """Return one of those that are not the primary. Raises PlatformError."""
    found = next((one for one in servers.others if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in servers.others) or "there is none"
        raise PlatformError(f"{name} is no standby; known: {known}.")
    return found


def await_following(settings: Settings, server: Server) -> None:
    """Wait until a standby streams. Raises PlatformError when it has not after a minute."""
    if not _until(lambda: any(one.name == server.name for one in _streaming(settings)), _FOLLOWS_S):
        raise PlatformError(f"{server.name} runs and does not follow the primary; see its log, or rejoin it.")


def _rewind(first: PostgresHome, servers: Servers, home: PostgresHome, name: str) -> bool:
    """Take back what a server has and the primary has not; say whether that was possible."""
    if not home.data.is_dir():
        return False
    # While it is away pg_rewind may have to recover a killed server, which a standby does not do by itself. Nobody
    # can connect to it meanwhile, and the decision that it is no primary stands in the servers' file.
    (home.data / FOLLOWS).unlink(missing_ok=True)
    done = home.run(
        home.command("pg_rewind"),
        f"--target-pgdata={home.data}",
        f"--source-server={replication_login(first, servers.primary, name)}",
        timeout_s=_COPY_S,
    )
    write_owned(home, home.data / FOLLOWS, "")
    if done.returncode != 0:
        _log.warning("%s cannot be rewound and is copied anew: %s", name, last_lines(done.stderr))
    return done.returncode == 0


def _follows_again(settings: Settings, first: PostgresHome, servers: Servers, server: Server) -> bool:
    decide(settings, first, servers)
    try:
        postgres.start_standby(first, servers, server)
        await_following(settings, server)
        keep_slots(postgres.admin_dsn(settings, "postgres", server), [])  # those of its time as a primary
    except (PlatformError, psycopg.Error):
        return False
    return True


def _list_followers(settings: Settings) -> list[Follower]:
    try:
        with (
            psycopg.connect(postgres.admin_dsn(settings, "postgres")) as connection,
            connection.cursor(row_factory=class_row(Follower)) as cursor,
        ):
            return cursor.execute(SQL["list_followers"]).fetchall()
    except psycopg.OperationalError:
        return []


def _streaming(settings: Settings) -> list[Follower]:
    return [one for one in _list_followers(settings) if one.state == "streaming"]


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _free_name(servers: Servers) -> str:
    numbers = (one.name.removeprefix("replica") for one in (servers.primary, *servers.others))
    return f"replica{max((int(number) for number in numbers if number.isdigit()), default=0) + 1}"


def _free_port(servers: Servers) -> int:
    taken = {one.port for one in (servers.primary, *servers.others)}
    for port in range(min(taken) + 1, 65_536):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            if port not in taken:
                return port
    raise PlatformError("No port is free for another server; give one with --port.")
