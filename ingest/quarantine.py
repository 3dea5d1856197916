"""Refused records: listed, shown, and replayed through the same validation once what was missing is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from configs.settings import Settings
from ingest.recording import Connection, list_stores, next_numbering, record_group
from ingest.records import Incoming
from ingest.validation import Origin, Parsed, parse, place
from receipts.database import DatabaseRole, conninfo
from receipts.errors import NotFound, Unavailable
from receipts.sql import load_sql

_SQL = load_sql("ingest", "quarantine")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record; `payload` is empty in a list."""

    quarantine_id: int
    bronze_table: str
    received_at: datetime
    source: str
    state: str
    reason: str
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a replayed refusal: accepted, or the reason it is still refused for."""

    quarantine_id: int
    reason: str | None


async def list_refusals(settings: Settings, *, limit: int = 50, replayed_too: bool = False) -> list[Refusal]:
    """Return the newest refusals that wait, or all of them."""
    async with _connected(settings) as connection:
        params = {"limit": limit, "replayed_too": replayed_too}
        rows = await (await connection.execute(_SQL["list_refusals"], params)).fetchall()
    return [Refusal(*row) for row in rows]


async def find_refusal(settings: Settings, quarantine_id: int) -> Refusal:
    """Return one refusal with its payload. Raises NotFound."""
    async with _connected(settings) as connection:
        return await _find(connection, quarantine_id)


async def replay(settings: Settings, quarantine_ids: Sequence[int] = ()) -> list[Replay]:
    """Validate held payloads again and store those that pass now, each with its mark in one transaction.

    Without ids, all that wait. Raises NotFound for an id that is not there.
    """
    async with _connected(settings) as connection:
        ids: Sequence[int] = quarantine_ids
        if not ids:
            rows = await (await connection.execute(_SQL["list_held_ids"])).fetchall()
            ids = [quarantine_id for (quarantine_id,) in rows]
        return [await _replay_one(connection, quarantine_id, settings) for quarantine_id in ids]


async def _replay_one(connection: Connection, quarantine_id: int, settings: Settings) -> Replay:
    refusal = await _find(connection, quarantine_id)
    origin = Origin(refusal.bronze_table, refusal.source, refusal.received_at)
    async with connection.transaction():
        record = parse(refusal.payload.encode(), origin, settings.ingest.max_record_bytes)
        if isinstance(record, Parsed):
            record = place(record, await list_stores(connection), origin)
        return await _store(connection, quarantine_id, record)


async def _store(connection: Connection, quarantine_id: int, record: Incoming) -> Replay:
    if record.bronze.refusal is None:
        numbering = await next_numbering(connection)
        await record_group(connection, numbering.number([record]))
        await connection.execute(_SQL["mark_replayed"], {"quarantine_id": quarantine_id})
    return Replay(quarantine_id, record.bronze.refusal)


async def _find(connection: Connection, quarantine_id: int) -> Refusal:
    rows = await connection.execute(_SQL["find_refusal"], {"quarantine_id": quarantine_id})
    row = await rows.fetchone()
    if row is None:
        raise NotFound(f"Nothing in quarantine has the number {quarantine_id}.")
    return Refusal(*row)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncGenerator[Connection]:
    login = conninfo(settings, DatabaseRole.INGEST, {"connect_timeout": 5})  # 5 s: a command must not hang
    try:
        connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(login, autocommit=True)
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached: is the platform up?") from error
    async with connection:
        yield connection
