"""Who may ask for tokens: the credentials of tills and feeds, as Postgres had them last."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from dataclasses import dataclass

import psycopg

from ingest.link import Link
from receipts.errors import Unauthenticated, Unavailable
from receipts.sql import load_sql

_SQL = load_sql("ingest", "clients")
_log = logging.getLogger(__name__)
_FRESH_S = 60.0  # after so long a credential that was revoked is noticed
_PAUSE_S = 1.0  # between two readings, however many clients are asked for that are not known
_READ_S = 5.0


@dataclass(frozen=True, slots=True)
class Client:
    """A credential: the SHA-256 of its secret, and whose records it may write."""

    client_id: str
    secret_digest: bytes
    store_ids: frozenset[int]
    all_stores: bool


class ClientDirectory:
    """All credentials that are not revoked. While Postgres is away it answers from what it read before.

    `link` is its own.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._clients: dict[str, Client] = {}
        self._known_at = float("-inf")  # when they were read
        self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def authenticate(self, client_id: str, secret: str) -> Client:
        """Return the client that the secret belongs to.

        Raises Unauthenticated when there is no such client or it has another secret, and Unavailable when the client
        is not known and cannot be looked up.
        """
        client = await self._find(client_id)
        digest = hashlib.sha256(secret.encode()).digest()
        if not hmac.compare_digest(digest, client.secret_digest if client else bytes(32)) or client is None:
            raise Unauthenticated("The client is not known, is revoked, or has another secret.")
        return client

    async def _find(self, client_id: str) -> Client | None:
        asked_at = time.monotonic()
        if self._must_read(client_id, asked_at):
            async with self._reading:
                if self._must_read(client_id, asked_at):
                    await asyncio.sleep(self._tried_at + _PAUSE_S - time.monotonic())
                    await self._read()
        if client_id not in self._clients and self._known_at < self._tried_at:
            raise Unavailable("Credentials cannot be looked up now; try again shortly.")
        return self._clients.get(client_id)

    def _must_read(self, client_id: str, asked_at: float) -> bool:
        """Say whether to read: for a client that is not known always, but once for all who asked meanwhile."""
        if client_id not in self._clients:
            return self._tried_at < asked_at
        return asked_at - self._known_at >= _FRESH_S and asked_at - self._tried_at >= _PAUSE_S

    async def _read(self) -> None:
        self._tried_at = time.monotonic()
        try:
            async with asyncio.timeout(_READ_S), self._link.transaction() as connection:
                cursor = await connection.execute(_SQL["list_clients"])
                rows = await cursor.fetchall()
        except (psycopg.Error, TimeoutError) as error:
            _log.warning("The tills' credentials cannot be read: %s", type(error).__name__)
            return
        self._clients = {row[0]: Client(row[0], bytes(row[1]), frozenset(row[2]), row[3]) for row in rows}
        self._known_at = self._tried_at
