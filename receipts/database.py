"""How each process reaches Postgres: as its own role, never as a superuser."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from configs.settings import Settings, SettingsError
from receipts.postgres_servers import LOOPBACK, read_servers
from receipts.traced_cursors import TracedAsyncCursor, TracedCursor

DATABASE = "receipts"
_RECONNECT_S = (
    5.0  # then a pool begins anew: its pauses double, and a primary that is back must not wait for a long one
)
# How soon a server that vanished without a word is noticed; by libpq alone it would take a quarter of an hour.
_NETWORK: dict[str, str | int] = {
    "tcp_user_timeout": 2_000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}


class DatabaseRole(StrEnum):
    """The login of one kind of process; grants are in the migrations."""

    INGEST = "receipts_ingest"  # gateway and drainer: writes receipts and the outbox
    PIPELINE = "receipts_pipeline"  # sync: upserts what was refined
    API = "receipts_api"  # serving: reads under row-level security, appends to the audit trail
    AUTH = "receipts_auth"  # sign-in: turns a principal into a scope handle
    PORTAL = "receipts_portal"  # portal: its own sessions only
    MAILER = "receipts_mailer"  # mailer: sends what is due, and alone reads where to
    RETENTION = "receipts_retention"  # audit retention: takes months out of the trail when they may go, and no more


def conninfo(settings: Settings, role: DatabaseRole, options: Mapping[str, str | int] | None = None) -> str:
    """Return the connection string of a process role to what takes writes: the embedded primary or `database.dsn`.

    Ask anew for each connection: another server may have become the primary. Raises SettingsError when the role's
    password is not known or the dsn is none.
    """
    if settings.database.dsn is None:
        return _login(settings, role, _embedded_primary(settings), options)
    parts = _dsn_parts(settings.database.dsn.get_secret_value(), "DSN")
    if "," in str(parts.get("host", "")):  # the primary may be any of them, now or after a fail-over
        parts.setdefault("target_session_attrs", "read-write")
    return _login(settings, role, parts, options)


def standby_conninfos(settings: Settings, role: DatabaseRole) -> dict[str, str]:
    """Return the connection string of a process role to each server that may be read instead of the primary.

    By name: those of `database.read_dsn`, host by host, or the embedded platform's. Raises SettingsError as above.
    """
    options = _timeouts(settings) | {"connect_timeout": 2}  # 2 s: the primary can answer as well
    if settings.database.dsn is None:
        servers = read_servers(settings).standbys
        places = {one.name: {"host": LOOPBACK, "port": one.port} for one in servers}
    elif settings.database.read_dsn is None:
        places = {}
    else:
        places = _hosts(_dsn_parts(settings.database.read_dsn.get_secret_value(), "READ_DSN"))
    return {name: _login(settings, role, parts, options) for name, parts in places.items()}


def connect(settings: Settings, role: DatabaseRole) -> psycopg.Connection[tuple[object, ...]]:
    """Open one connection as a process role."""
    # 5 s: a down server must not hang a command
    return psycopg.connect(conninfo(settings, role), connect_timeout=5, cursor_factory=cursors(settings))


def open_pool(
    settings: Settings,
    role: DatabaseRole,
    size: int | None = None,
    *,
    autocommit: bool = False,
    standby: str | None = None,
) -> AsyncConnectionPool:
    """Return an unopened asynchronous pool; `await pool.open()` in the process that uses it.

    Each new connection of it goes to what is the primary then, or to the `standby` with this connection string. With
    `autocommit` a statement is a transaction of its own, without the round trips of BEGIN and COMMIT.
    """

    def login() -> str:
        return standby or conninfo(settings, role, _timeouts(settings))

    login()  # at once and not in the background: what is wrong with the settings is told to whoever starts the process
    return AsyncConnectionPool(
        login,
        min_size=1,
        max_size=size or settings.database.pool_size,
        kwargs={"autocommit": autocommit, "cursor_factory": async_cursors(settings)},
        open=False,
        name=role.value,
        reconnect_timeout=_RECONNECT_S,
    )


async def open_connection(settings: Settings, role: DatabaseRole) -> psycopg.AsyncConnection[Any]:
    """Open one asynchronous connection, on which a statement is a transaction of its own."""
    return await psycopg.AsyncConnection.connect(
        conninfo(settings, role, _timeouts(settings)), autocommit=True, cursor_factory=async_cursors(settings)
    )


def cursors(settings: Settings) -> type[psycopg.Cursor[Any]]:
    """Return psycopg's cursors, or those that are traced where a collector is set."""
    return TracedCursor if settings.telemetry.endpoint else psycopg.Cursor


def async_cursors(settings: Settings) -> type[psycopg.AsyncCursor[Any]]:
    """Return the same for asynchronous connections."""
    return TracedAsyncCursor if settings.telemetry.endpoint else psycopg.AsyncCursor


def hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """End the conversation from our side, so that whoever waits for a server that was stopped fails at once.

    Cancelling would not do: it asks that same server, and waits for its answer.
    """
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _timeouts(settings: Settings) -> dict[str, str | int]:
    # 3 s a host: of several, the first may be the one that vanished.
    return _NETWORK | {
        "options": f"-c statement_timeout={settings.database.statement_timeout_ms}",
        "connect_timeout": 3,
    }


def _login(
    settings: Settings,
    role: DatabaseRole,
    place: Mapping[str, str | int],
    options: Mapping[str, str | int] | None,
) -> str:
    who = {"user": role.value, "password": _password(settings, role), "application_name": role.value}
    return make_conninfo("", **{"dbname": DATABASE, **place, **who, **(options or {})})


def _embedded_primary(settings: Settings) -> dict[str, str | int]:
    servers = read_servers(settings)
    place: dict[str, str | int] = {"host": LOOPBACK, "port": servers.primary.port}
    # A server that was just demoted may answer in the old place for whoever looked a moment too early.
    return place | ({"target_session_attrs": "read-write"} if servers.others else {})


def _hosts(parts: Mapping[str, str | int]) -> dict[str, dict[str, str | int]]:
    """Take a connection string with several hosts apart; libpq takes one port for all or one for each."""
    hosts, ports = str(parts.get("host", "")).split(","), str(parts.get("port", "5432")).split(",")
    every = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True)
    # A name with several addresses, as managed databases give their readers, is spread over all of them.
    rest = {**parts, "target_session_attrs": "any", "load_balance_hosts": "random"}
    return {f"{host}:{port}": {**rest, "host": host, "port": port} for host, port in every}


def _dsn_parts(dsn: str, key: str) -> dict[str, str | int]:
    try:
        return {name: value for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:  # libpq's message repeats pieces of the string, so possibly the password
        raise SettingsError(
            f"RECEIPTS_DATABASE__{key} is no connection string; expected postgresql://user:password@host:port/database."
        ) from None


def _password(settings: Settings, role: DatabaseRole) -> str:
    """Look in the settings, then in the file `receipts up` wrote for the embedded server."""
    given = settings.database.role_passwords.get(role.value)
    if given is not None:
        return given.get_secret_value()
    secrets = settings.state_dir / "secrets.json"
    if settings.database.dsn is None and secrets.is_file():
        stored: dict[str, str] = json.loads(secrets.read_text())
        if role.value in stored:
            return stored[role.value]
    raise SettingsError(
        f"RECEIPTS_DATABASE__ROLE_PASSWORDS__{role.value.upper()} is not set; "
        "for the embedded database run `receipts up` first."
    )
