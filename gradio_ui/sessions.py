"""Who is signed in: an opaque cookie in the browser, everything else in Postgres, tokens sealed by the cookie."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg_pool import AsyncConnectionPool

from receipts.access import PERMISSIONS, Permission, Role
from receipts.sql import load_sql

_SQL = load_sql("gradio_ui", "sessions")
_SIGN_IN_LASTS = timedelta(minutes=10)  # long enough for a second factor, short enough to be useless later
_RENEWED_BEFORE = timedelta(minutes=2)  # long enough for what is asked with the token that is still there
_NONCE_BYTES = 12  # what AES-GCM takes
_COOKIE_BYTES = 32
_WAIT_S = 5  # for a connection; whoever waits longer is told that the database is away


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person. `access_token` is what the API is asked with; the API judges it by itself.

    The token ends before the session does, when there is a `refresh_token` to get the next one with.
    """

    principal_id: str
    role: Role
    display_name: str
    access_token: str
    expires_at: datetime
    refresh_token: str = ""
    token_until: datetime | None = None  # None: as long as the session

    @property
    def is_due(self) -> bool:
        """Say whether it is time for the next access token."""
        until = self.token_until
        return bool(self.refresh_token) and until is not None and datetime.now(UTC) > until - _RENEWED_BEFORE

    def may(self, permission: Permission) -> bool:
        """Say whether the role carries a permission: what to show, not what to protect."""
        return permission in PERMISSIONS[self.role]


# Returns a session with its next tokens, the same while the issuer is away, None when the issuer says that it is over.
Exchange = Callable[[Session], Awaitable[Session | None]]


async def record_session(pool: AsyncConnectionPool, session: Session) -> str:
    """Keep a session and return its cookie, which is known to nobody else from now on."""
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)
    row = {
        "cookie_digest": _digest(cookie),
        "principal_id": session.principal_id,
        "role": session.role.value,
        "display_name": session.display_name,
        "sealed": _sealed_tokens(cookie, session),
        "expires_at": session.expires_at,
    }
    async with pool.connection(timeout=_WAIT_S) as connection:
        await connection.execute(_SQL["delete_expired_sessions"])
        await connection.execute(_SQL["record_session"], row)
    return cookie


async def renew_session(pool: AsyncConnectionPool, cookie: str, exchange: Exchange) -> Session | None:
    """Return the session of a cookie with what `exchange` gets for it if it is due, or None when that ends it.

    One caller at a time, in whatever process: to the issuer, a refresh token that comes twice is a stolen one.
    """
    key = {"cookie_digest": _digest(cookie)}
    async with pool.connection(timeout=_WAIT_S) as connection:  # a transaction, which keeps the row until its end
        row = await (await connection.execute(_SQL["hold_session"], key)).fetchone()
        session = _read(cookie, row)
        if session is None or not session.is_due:  # somebody else was first
            return session
        renewed = await exchange(session)
        if renewed is None:
            await connection.execute(_SQL["delete_session"], key)
        elif renewed is not session:
            values = {
                "role": renewed.role.value,
                "display_name": renewed.display_name,
                "sealed": _sealed_tokens(cookie, renewed),
                "expires_at": renewed.expires_at,
            }
            await connection.execute(_SQL["renew_session"], key | values)
        return renewed


async def find_session(pool: AsyncConnectionPool, cookie: str) -> Session | None:
    """Return the session of a cookie, or None when there is none, it has ended or was signed out."""
    if not cookie:
        return None
    async with pool.connection(timeout=_WAIT_S) as connection:
        cursor = await connection.execute(_SQL["find_session"], {"cookie_digest": _digest(cookie)})
        return _read(cookie, await cursor.fetchone())


def _read(cookie: str, row: tuple[Any, ...] | None) -> Session | None:
    """Return the session of a row, if the cookie opens it."""
    if row is None:
        return None
    principal_id, role, display_name, sealed, expires_at = row
    tokens = _open(cookie, sealed)
    if tokens is None:
        return None
    until = tokens.get("token_until")
    return Session(
        principal_id,
        Role(role),
        display_name,
        str(tokens["access_token"]),
        expires_at,
        refresh_token=str(tokens.get("refresh_token", "")),
        token_until=datetime.fromisoformat(until) if isinstance(until, str) else None,
    )


async def end_session(pool: AsyncConnectionPool, cookie: str) -> None:
    """Forget a session; an unknown cookie is fine."""
    async with pool.connection(timeout=_WAIT_S) as connection:
        await connection.execute(_SQL["delete_session"], {"cookie_digest": _digest(cookie)})


async def begin_sign_in(pool: AsyncConnectionPool, return_to: str, state: dict[str, object]) -> str:
    """Keep what a sign-in needs when the browser comes back; return the cookie that finds it, for ten minutes."""
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)
    row = {
        "cookie_digest": _digest(cookie),
        "return_to": return_to,
        "sealed": _seal(cookie, state),
        "expires_at": datetime.now(UTC) + _SIGN_IN_LASTS,
    }
    async with pool.connection(timeout=_WAIT_S) as connection:
        await connection.execute(_SQL["delete_expired_sign_ins"])
        await connection.execute(_SQL["record_sign_in"], row)
    return cookie


async def take_sign_in(pool: AsyncConnectionPool, cookie: str) -> tuple[str, dict[str, object]] | None:
    """Return where a sign-in came from and its state, once; None when it is unknown or too old."""
    if not cookie:
        return None
    async with pool.connection(timeout=_WAIT_S) as connection:
        cursor = await connection.execute(_SQL["take_sign_in"], {"cookie_digest": _digest(cookie)})
        row = await cursor.fetchone()
    if row is None or not row[2]:
        return None
    state = _open(cookie, row[1])
    return None if state is None else (row[0], state)


def _digest(cookie: str) -> bytes:
    # A fast hash is enough: the cookie is 256 random bits, which nobody can try out.
    return hashlib.sha256(b"find " + cookie.encode()).digest()


def _cipher(cookie: str) -> AESGCM:
    return AESGCM(hashlib.sha256(b"seal " + cookie.encode()).digest())


def _sealed_tokens(cookie: str, session: Session) -> bytes:
    tokens: dict[str, object] = {"access_token": session.access_token, "refresh_token": session.refresh_token}
    until = session.token_until
    return _seal(cookie, tokens | ({"token_until": until.isoformat()} if until else {}))


def _seal(cookie: str, values: dict[str, object]) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(cookie).encrypt(nonce, json.dumps(values).encode(), _digest(cookie))


def _open(cookie: str, sealed: bytes) -> dict[str, object] | None:
    try:
        plain = _cipher(cookie).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _digest(cookie))
    except InvalidTag:  # the row was changed by someone who does not hold the cookie
        return None
    return json.loads(plain)
