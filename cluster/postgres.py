"""The embedded PostgreSQL 18: our own initdb (passwords for everyone, loopback only), start, stop and health."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Mapping

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cluster import postgres_server
from cluster.credentials import SUPERUSER, ensure_credentials
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome, ensure_home, find_home, home_of
from cluster.postgres_server import last_lines, own, postmaster, write_owned
from cluster.replication import FOLLOWS, configuration_of, finish_promotion, keep_slots
from configs.settings import Settings
from receipts.database import DATABASE
from receipts.postgres_servers import LOOPBACK, Server, Servers, read_servers

_log = logging.getLogger(__name__)
_MAJOR = "18"


def start(settings: Settings, extra: Mapping[str, str] | None = None) -> None:
    """Make the database cluster if there is none, and start its servers unless they run; returns when they answer.

    `extra` overrides single Postgres settings of the primary. Raises PlatformError with the primary's own last words;
    a standby that does not start is logged, for the platform works without it.
    """
    password = ensure_credentials(settings)[SUPERUSER]
    first, servers = ensure_home(settings), read_servers(settings)
    for leftover in first.root.glob("initialising-*"):  # of a start that was killed half-way
        shutil.rmtree(leftover, ignore_errors=True)
    home = home_of(first, servers.primary.name)
    if not home.data.is_dir():
        if servers.others:
            raise PlatformError(f"{home.data}, the primary's data, is gone; `receipts replicas promote` goes on.")
        _initialise(home, password)
    version = (home.data / "PG_VERSION").read_text().strip()
    if version != _MAJOR:
        raise PlatformError(f"{home.data} was made by PostgreSQL {version}; this platform runs {_MAJOR}.")
    try:
        _start_server(first, servers, servers.primary, extra)
    except PlatformError as error:
        if servers.standbys:
            raise PlatformError(f"{error} If it is lost, `receipts replicas promote` goes on without it.") from error
        raise
    if servers.others:
        finish_promotion(home, admin_dsn(settings, "postgres"))
        keep_slots(admin_dsn(settings, "postgres"), [one.name for one in servers.others])
    for standby in servers.standbys:
        try:
            start_standby(first, servers, standby)
        except PlatformError as error:
            _log.warning("The standby %s does not start: %s", standby.name, error)


def start_standby(first: PostgresHome, servers: Servers, standby: Server) -> None:
    """Start a standby unless it runs. Raises PlatformError when it does not, or would come up as a primary."""
    home = home_of(first, standby.name)
    if not (home.data / FOLLOWS).is_file():
        raise PlatformError(f"{home.data} is no standby's; `receipts replicas rejoin {standby.name}` makes it one.")
    _start_server(first, servers, standby)


def stop(settings: Settings) -> None:
    """Stop the servers that run, the primary first: its standbys get all it has; returns when they are gone."""
    first = find_home(settings)
    if first is None:
        return
    servers = read_servers(settings)
    for server in (servers.primary, *servers.others):
        postgres_server.stop(home_of(first, server.name))


def is_running(settings: Settings) -> bool:
    """Say whether the embedded primary accepts connections."""
    return server_process(settings) is not None and postgres_server.answers(read_servers(settings).primary.port)


def server_process(settings: Settings) -> psutil.Process | None:
    """Return the live server process of the embedded primary."""
    first = find_home(settings)
    return None if first is None else postmaster(home_of(first, read_servers(settings).primary.name))


def admin_dsn(settings: Settings, dbname: str | None = None, server: Server | None = None) -> str:
    """Return the connection string of the database's owner: `database.dsn`, or the embedded primary's superuser.

    `server` names another one of the embedded servers.
    """
    if settings.database.dsn is not None:
        given = settings.database.dsn.get_secret_value()
        return make_conninfo(given, dbname=dbname) if dbname else make_conninfo("", **conninfo_to_dict(given))
    return make_conninfo(
        "",
        host=LOOPBACK,
        port=(server or read_servers(settings).primary).port,
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


def _start_server(
    first: PostgresHome, servers: Servers, server: Server, extra: Mapping[str, str] | None = None
) -> None:
    home = home_of(first, server.name)
    if postmaster(home) is None:
        postgres_server.configure(home, configuration_of(first, servers, server, extra))
    postgres_server.start(home, server.port)


def _initialise(home: PostgresHome, password: str) -> None:
    """Run initdb beside the final place and rename: a killed initdb leaves nothing that looks like a cluster."""
    unfinished = home.root / f"initialising-{uuid.uuid4().hex}"
    unfinished.mkdir(mode=0o700)
    own(home, unfinished)
    password_file = unfinished / "password"
    write_owned(home, password_file, password)
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
        raise PlatformError(f"initdb failed: {last_lines(result.stderr)}")
    with (fresh / "postgresql.conf").open("a") as file:
        file.write("include 'receipts.conf'\n")
    fresh.rename(home.data)
    shutil.rmtree(unfinished)
