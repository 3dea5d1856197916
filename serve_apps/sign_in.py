"""What the development provider's routes share: who signs, and who a principal is."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import Depends
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from receipts.access import Principal, Role
from receipts.sql import SqlBlocks, load_sql
from serve_apps.issuing import Issuer

SQL: SqlBlocks = load_sql("serve_apps", "sign_in")


@dataclass(frozen=True, slots=True)
class Provider:
    """The signer, and the secret with which services and commands ask for tokens."""

    issuer: Issuer
    client_secret: str


def _provider(request: Request) -> Provider:
    return request.app.state.provider


SignIn = Annotated[Provider, Depends(_provider)]


async def open_session(pool: AsyncConnectionPool, principal_id: str) -> tuple[Principal, str] | None:
    """Return the principal with a new session id, and the display name; None when there is no such active one."""
    async with pool.connection() as connection:
        cursor = await connection.execute(SQL["open_scope"], {"principal_id": principal_id})
        row = await cursor.fetchone()
    if row is None:
        return None
    scope_id, role, display_name = row
    return Principal(principal_id, Role(role), str(scope_id), uuid4().hex), display_name


def is_loopback(url: str) -> bool:
    """Say whether a URL leads to this machine."""
    try:
        return is_loopback_host(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_loopback_host(host: str) -> bool:
    """Say whether a host name or address is this machine's own."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
