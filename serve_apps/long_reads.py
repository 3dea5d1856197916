"""Reading more than fits into memory: rows by the hundred from a server-side cursor, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, LiteralString

from configs.settings import Settings
from receipts.access import Principal
from receipts.database import DatabaseRole, open_connection
from receipts.errors import Unavailable
from receipts.sql import load_sql

_SQL = load_sql("serve_apps", "long_reads")
_AT_ONCE = 4  # of a replica: each holds a connection and a snapshot, and takes as much of a core as it gets
_FETCH_MS = 60_000  # for one fetch instead of the role's 5 s: what sorts all rows does so before the first one
_PAUSE_MS = 120_000  # between two fetches: twice what a reader may stall


class LongReads:
    """The long reads of one replica."""

    def __init__(self, settings: Settings, role: DatabaseRole) -> None:
        self._settings = settings
        self._role = role
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def require_room(self) -> None:
        """Raise Unavailable while as many are under way as one replica does at once."""
        if self._slots.locked():
            raise Unavailable(f"{_AT_ONCE} long downloads are under way; try again in a minute.")

    async def read(
        self, principal: Principal, statement: LiteralString, parameters: Mapping[str, object], rows: int
    ) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        """Yield what a statement finds under a principal's scope, so many rows at a time, all as of one moment.

        Closing the generator, or cancelling whoever waits for it, ends the statement on the server at once. Raises
        psycopg.Error.
        """
        begin = {
            "scope": principal.scope_id,
            "principal": principal.principal_id,
            "fetch_ms": str(_FETCH_MS),
            "pause_ms": str(_PAUSE_MS),
        }
        async with (
            self._slots,
            await open_connection(self._settings, self._role) as connection,
            connection.transaction(),
        ):
            await connection.execute(_SQL["begin_long_read"], begin)
            async with connection.cursor("long_read") as cursor:
                await cursor.execute(statement, parameters)
                while found := await cursor.fetchmany(rows):
                    yield found
