"""Sessions of our own provider: opened at a sign-in, carried on by rotating refresh tokens, ended for all replicas."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import uuid4

from psycopg_pool import AsyncConnectionPool

from configs.auth import AuthSettings
from receipts.access import Principal, Role
from receipts.signed_tokens import LEEWAY_S
from receipts.sql import load_sql

_SQL = load_sql("serve_apps", "sessions")
_TOKEN_BYTES = 32

EndedBy = Literal["sign_out", "revocation", "reuse", "deactivation"]


class Opened(NamedTuple):
    """A session with what its client gets of it. `refresh_token` is known to nobody else from now on."""

    principal: Principal
    display_name: str
    refresh_token: str | None
    left_s: int  # until the session ends, however often it is refreshed


class Rotated(NamedTuple):
    """What came of a refresh token. `opened` is None when the session does not go on."""

    outcome: str
    principal: Principal | None  # also of a session that has ended, if the principal is active: for the audit trail
    opened: Opened | None


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions in Postgres, where all replicas agree on them."""

    auth: AuthSettings
    pool: AsyncConnectionPool

    async def open(self, principal_id: str, client_id: str, *, refreshable: bool) -> Opened | None:
        """Open a session; None when there is no such active principal."""
        session_id = uuid4().hex
        if await self.find(principal_id, session_id) is None:
            return None
        refresh_token = secrets.token_urlsafe(_TOKEN_BYTES) if refreshable else None
        left_s = self.auth.session_s if refreshable else self.auth.access_token_s
        row = {
            "session_id": session_id,
            "principal_id": principal_id,
            "client_id": client_id,
            "session_s": left_s,
            "tokens_s": self.auth.access_token_s + LEEWAY_S,
            "idle_s": self.auth.idle_s,
            "refresh_digest": digest_of(refresh_token) if refresh_token else None,
        }
        async with self.pool.connection() as connection:
            await connection.execute(_SQL["record_session"], row)
        # Again: a deactivation in between ended the sessions that it saw, and this one was not there yet.
        who = await self.find(principal_id, session_id)
        if who is None:
            await self.end(session_id, client_id, "deactivation")
            return None
        return Opened(*who, refresh_token, left_s)

    async def rotate(self, refresh_token: str, client_id: str) -> Rotated:
        """Exchange a refresh token for the next one, with the principal as it is now."""
        following = secrets.token_urlsafe(_TOKEN_BYTES)
        row = {
            "refresh_digest": digest_of(refresh_token),
            "next_digest": digest_of(following),
            "client_id": client_id,
            "idle_s": self.auth.idle_s,
            "tokens_s": self.auth.access_token_s + LEEWAY_S,
            "grace_s": self.auth.refresh_grace_s,
        }
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_SQL["rotate"], row)
            found = await cursor.fetchone()
        outcome, session_id, principal_id, left_s = found or ("unknown", "", "", 0)
        who = await self.find(principal_id, session_id) if session_id else None
        if outcome != "rotated":
            return Rotated(outcome, who[0] if who else None, None)
        if who is None:
            await self.end(session_id, client_id, "deactivation")
            return Rotated("deactivated", None, None)
        return Rotated(outcome, who[0], Opened(*who, following, left_s))

    async def find(self, principal_id: str, session_id: str) -> tuple[Principal, str] | None:
        """Return an active principal as of now, and the display name."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_SQL["open_scope"], {"principal_id": principal_id})
            row = await cursor.fetchone()
        if row is None:
            return None
        scope_id, role, display_name = row
        return Principal(principal_id, Role(role), str(scope_id), session_id), display_name

    async def find_by_refresh_token(self, refresh_token: str, client_id: str) -> tuple[str, str] | None:
        """Return the ids of session and principal that a client's refresh token belongs to."""
        row = {"refresh_digest": digest_of(refresh_token), "client_id": client_id}
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_SQL["find_session_of"], row)
            return await cursor.fetchone()

    async def end(self, session_id: str, client_id: str, ended_by: EndedBy) -> None:
        """End a client's session; within seconds no replica believes its tokens. Safe to repeat."""
        row = {"session_id": session_id, "client_id": client_id, "ended_by": ended_by}
        async with self.pool.connection() as connection:
            await connection.execute(_SQL["end_session"], row)


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret. A fast hash is enough: 256 random bits cannot be tried out."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
