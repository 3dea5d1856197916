"""The file of an export: written while it is read, from one moment of the database, and told how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from receipts.access import Principal
from receipts.errors import Conflict
from receipts.sql import load_sql
from serve_apps.export_formats import FileFormat, Rows
from serve_apps.export_rows import FoundReceipt, Mark, rows_of
from serve_apps.scoped import scoped
from serve_apps.serving import ServingContext

_SQL = load_sql("serve_apps", "export_files")
_FETCH = 100  # receipts at a time
_PIECE_ROWS = 1_000  # some 10 ms of the event loop's time, in which nobody else is answered
_TOLD_ROWS = 10_000  # between two notes of how far it is; each is a commit
_BROKEN_OFF = "The download was broken off before its end."
_NO_DATABASE = "The database ended the reading."
_UNWRITTEN = "The file could not be written."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which receipts are asked for, by whom, under which export."""

    export_id: UUID
    principal: Principal
    receipts: Mapping[str, object]  # date_from, date_to, store_ids


async def file_of(context: ServingContext, wanted: Wanted, file: FileFormat) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes, and keep the export's row true of how far it is and how it ended."""
    download = _Download(context, wanted)
    await download.begin()
    failure: str | None = _BROKEN_OFF  # unless something better is known by the time it ends
    try:
        async with aclosing(_pieces(context, wanted)) as pieces:
            async for rows in pieces:
                if written := await file.add(rows):
                    yield written
                await download.move(len(rows))
        if written := await file.end():
            yield written
        failure = None
    except psycopg.Error:
        failure = _NO_DATABASE
        raise
    except Exception:
        failure = _UNWRITTEN
        raise
    finally:
        # Whoever broke it off may do so once more: the row is to be true all the same.
        await asyncio.shield(asyncio.ensure_future(download.end(failure)))


async def _pieces(context: ServingContext, wanted: Wanted) -> AsyncGenerator[Rows, None]:
    """Yield all rows, some at a time."""
    mark = Mark(str(wanted.export_id), wanted.principal.principal_id)
    reading = context.long_reads.read(wanted.principal, _SQL["find_receipts"], wanted.receipts, _FETCH)
    async with aclosing(reading) as pages:
        async for page in pages:
            rows: list[tuple[Any, ...]] = []
            for found in page:
                rows.extend(rows_of(FoundReceipt(*found), mark))
                if len(rows) >= _PIECE_ROWS:
                    yield rows
                    rows = []
            if rows:
                yield rows


class _Download:
    """One download in the export's row, for as long as it is the last one that began."""

    def __init__(self, context: ServingContext, wanted: Wanted) -> None:
        self._context = context
        self._wanted = wanted
        self._number = 0
        self._rows = 0
        self._told = 0

    async def begin(self) -> None:
        self._number = await self._run("begin_download") or 0

    async def move(self, rows: int) -> None:
        """Count rows that were sent. Raises Conflict when the export is downloaded anew."""
        self._rows += rows
        if self._rows - self._told < _TOLD_ROWS:
            return
        self._told = self._rows
        with suppress(psycopg.OperationalError):  # no connection is free: the file goes on, its row follows later
            if not await self._run("note_progress"):
                raise Conflict("Another download of the same export has begun.")

    async def end(self, failure: str | None) -> None:
        with suppress(psycopg.OperationalError):  # without a database nobody reads that row either
            await self._run("end_download", failure)

    async def _run(self, block: str, failure: str | None = None) -> int | None:
        params = {
            "export_id": self._wanted.export_id,
            "download": self._number,
            "rows_done": self._rows,
            "failure": failure,
        }
        async with scoped(self._context.pool, self._wanted.principal) as connection:
            row = await (await connection.execute(_SQL[block], params)).fetchone()
        return row and row[0]
