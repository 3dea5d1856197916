"""Which sessions ended before their access tokens do: asked every few seconds, known without asking in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import psycopg
from psycopg_pool import AsyncConnectionPool

from configs.auth import AuthSettings
from receipts.sql import load_sql

log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "revocations")


class Revocations:
    """The ids of ended sessions. They are believed until `good_until`; after that nobody can say who is signed out.

    Failing closed then costs nothing that was to be had: without the database no answer leaves, for its audit event
    could not be written either.
    """

    def __init__(self, auth: AuthSettings, clock: Callable[[], float] = time.time) -> None:
        """Take the `clock`, in seconds since 1970, that `good_until` is read by."""
        self.sessions: frozenset[str] = frozenset()
        self.good_until = float("-inf")
        self.looked = asyncio.Event()  # set after the first look, whether or not there was an answer
        self._auth = auth
        self._clock = clock

    @property
    def age_s(self) -> float:
        """Return how old what is known is; infinite before the first answer."""
        return self._clock() - (self.good_until - self._auth.revocation_stale_s)

    async def refresh(self, pool: AsyncConnectionPool) -> None:
        """Ask once; without an answer what was known stays known."""
        asked_at = self._clock()
        try:
            async with pool.connection(timeout=self._auth.revocation_stale_s / 2) as connection:
                rows = await (await connection.execute(_SQL["list_ended_sessions"])).fetchall()
        except (psycopg.Error, OSError) as error:
            log.warning("the list of ended sessions could not be read: %s", type(error).__name__)
            return
        self.sessions = frozenset(row[0] for row in rows)
        self.good_until = asked_at + self._auth.revocation_stale_s

    async def keep_fresh(self, pool: AsyncConnectionPool) -> None:
        """Ask for ever."""
        while True:
            await self.refresh(pool)
            self.looked.set()
            await asyncio.sleep(self._auth.revocation_poll_s)
