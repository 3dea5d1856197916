"""One connection to Postgres that is opened when it is needed, and again after it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import psycopg

from configs.settings import Settings
from ingest.recording import Connection
from receipts.database import DatabaseRole, async_cursors, conninfo, hang_up

# How long a dead server may go unnoticed: less than the 8 s after which a till's SDK gives up.
_CONNECT_TIMEOUT_S = 3
_TCP_TIMEOUT_MS = 5_000
_GRACE_S = 1.0  # how long after the statement timeout a server that does not end the statement itself is given up


class Link:
    """A connection of the ingest role for one task; not to be shared by tasks that run at once."""

    def __init__(self, settings: Settings) -> None:
        self._cursors = async_cursors(settings)
        self._patience_s = settings.database.statement_timeout_ms / 1000 + _GRACE_S
        self._login = partial(
            conninfo,
            settings,
            DatabaseRole.INGEST,
            {
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "tcp_user_timeout": _TCP_TIMEOUT_MS,
                "options": f"-c statement_timeout={settings.database.statement_timeout_ms}",
            },
        )
        self._connection: Connection | None = None
        self._warnings: list[str] = []

    @asynccontextmanager
    async def statement(self) -> AsyncGenerator[Connection]:
        """Give the connection for one statement, which is a transaction by itself; after the block it is durable.

        Raises psycopg.Error when the server is away or silent, the statement fails, or the commit came with a warning:
        Postgres reports a commit whose wait for the standby was cut off as success with one.
        """
        connection = await self._open()
        self._warnings.clear()
        overdue = asyncio.get_running_loop().call_later(self._patience_s, hang_up, connection)
        try:
            yield connection
        finally:
            overdue.cancel()
        if self._warnings:
            raise psycopg.OperationalError(self._warnings[0])

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Give a transaction in pipeline mode; after the block it is committed and durable.

        Raises psycopg.Error as `statement` does.
        """
        async with self.statement() as connection, connection.pipeline(), connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _open(self) -> Connection:
        if self._connection is None or self._connection.broken or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._login(), autocommit=True, cursor_factory=self._cursors
            )
            self._connection.add_notice_handler(self._notice)
        return self._connection

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self._warnings.append(diagnostic.message_primary or "warning")
