"""How each process reaches Postgres: as its own role, never as a superuser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from configs.settings import Settings, SettingsError

DATABASE = "receipts"


class DatabaseRole(StrEnum):
    """The login of one kind of process; grants are in the migrations."""

    INGEST = "receipts_ingest"  # gateway and drainer: writes receipts and the outbox
    PIPELINE = "receipts_pipeline"  # sync: upserts what was refined
    API = "receipts_api"  # serving: reads under row-level security, appends to the audit trail
    AUTH = "receipts_auth"  # sign-in: turns a principal into a scope handle
    PORTAL = "receipts_portal"  # portal: its own sessions only
    RETENTION = "receipts_retention"  # audit retention: takes months out of the trail when they may go, and no more


def conninfo(settings: Settings, role: DatabaseRole, options: Mapping[str, str | int] | None = None) -> str:
    """Return the connection string of a process role, for the embedded server or the one `database.dsn` names.

    Raises SettingsError when the role's password is not known or the dsn is none.
    """
    parts: dict[str, str | int] = {"dbname": DATABASE}
    if settings.database.dsn is None:
        parts |= {"host": "127.0.0.1", "port": settings.database.embedded_port}
    else:
        parts |= _dsn_parts(settings.database.dsn.get_secret_value())
    parts |= {"user": role.value, "password": _password(settings, role), "application_name": role.value}
    return make_conninfo("", **{**parts, **(options or {})})


def connect(settings: Settings, role: DatabaseRole) -> psycopg.Connection[tuple[object, ...]]:
    """Open one connection as a process role."""
    return psycopg.connect(conninfo(settings, role), connect_timeout=5)  # 5 s: a down server must not hang a command


def open_pool(
    settings: Settings, role: DatabaseRole, size: int | None = None, *, autocommit: bool = False
) -> AsyncConnectionPool:
    """Return an unopened asynchronous pool; `await pool.open()` in the process that uses it.

    With `autocommit` a statement is a transaction of its own, without the round trips of BEGIN and COMMIT.
    """
    return AsyncConnectionPool(
        conninfo(settings, role, _timeouts(settings)),
        min_size=1,
        max_size=size or settings.database.pool_size,
        kwargs={"autocommit": autocommit},
        open=False,
        name=role.value,
    )


async def open_connection(settings: Settings, role: DatabaseRole) -> psycopg.AsyncConnection[Any]:
    """Open one asynchronous connection, on which a statement is a transaction of its own."""
    return await psycopg.AsyncConnection.connect(conninfo(settings, role, _timeouts(settings)), autocommit=True)


def _timeouts(settings: Settings) -> dict[str, str | int]:
    return {"options": f"-c statement_timeout={settings.database.statement_timeout_ms}", "connect_timeout": 5}


def _dsn_parts(dsn: str) -> dict[str, str | int]:
    try:
        return {key: value for key, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:  # libpq's message repeats pieces of the string, so possibly the password
        raise SettingsError(
            "RECEIPTS_DATABASE__DSN is no connection string; expected postgresql://user:password@host:port/database."
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
