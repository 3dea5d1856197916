"""Cursors that make a span of each statement where its work is traced: by the block's name, never by its text."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Self, cast

from psycopg import AsyncCursor, Cursor
from psycopg.abc import Params, Query, QueryNoTemplate
from psycopg.pq import PipelineStatus
from psycopg.rows import Row

from receipts.tracing import below, block_of, current

if TYPE_CHECKING:
    from receipts.spans import Span


class TracedAsyncCursor(AsyncCursor[Row]):
    """A cursor whose statements are spans below the one that is under way.

    In a pipeline a statement is sent at once and answered later: its span ends when its first rows are read, and one
    whose rows nobody reads has none.
    """

    _sent: tuple[Span, str, int] | None = None

    async def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        """Execute one statement."""
        span = current()
        if span is None:
            return await super().execute(cast("QueryNoTemplate", query), params, prepare=prepare, binary=binary)
        if self.connection.pgconn.pipeline_status != PipelineStatus.OFF:
            self._sent = (span, block_of(query), time_ns())
            return await super().execute(cast("QueryNoTemplate", query), params, prepare=prepare, binary=binary)
        with below(block_of(query), "client"):
            return await super().execute(cast("QueryNoTemplate", query), params, prepare=prepare, binary=binary)

    async def fetchone(self) -> Row | None:
        """Return the next row."""
        try:
            return await super().fetchone()
        finally:
            self._end()

    async def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        try:
            return await super().fetchall()
        finally:
            self._end()

    def _end(self) -> None:
        if self._sent is not None:
            (span, block, since_ns), self._sent = self._sent, None
            span.child(block, since_ns, "client").end()


class TracedCursor(Cursor[Row]):
    """The same for synchronous work, which knows no pipelines here."""

    def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        """Execute one statement."""
        with below(block_of(query), "client"):
            return super().execute(cast("QueryNoTemplate", query), params, prepare=prepare, binary=binary)
