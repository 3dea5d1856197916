"""Refused records: listed, counted, shown, corrected, replayed and dismissed by whoever looks after them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from configs.settings import Settings
from ingest.judging import Desk, Verdict
from ingest.recording import Connection
from receipts.database import DatabaseRole, conninfo
from receipts.errors import NotFound, Unavailable
from receipts.sql import load_sql

_SQL = load_sql("ingest", "quarantine")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which refusals are listed; None of anything means every one."""

    state: str | None = "held"
    kind: str | None = None
    bronze_table: str | None = None
    store_id: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record; `payload` is empty in a list. It holds no card number: those were destroyed."""

    quarantine_id: int
    bronze_table: str
    received_at: datetime
    source: str
    state: str
    kind: str
    reason: str
    accepted_key: str | None
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many refusals there are of one state, table and kind."""

    state: str
    bronze_table: str
    kind: str
    refusals: int
    oldest: datetime


async def list_refusals(settings: Settings, wanted: Filter | None = None, limit: int = 50) -> list[Refusal]:
    """Return the newest refusals that fit; without a filter, those that wait."""
    async with _connected(settings) as connection:
        params = asdict(wanted or Filter()) | {"limit": limit}
        rows = await (await connection.execute(_SQL["list_refusals"], params)).fetchall()
    return [Refusal(*row) for row in rows]


async def count_refusals(settings: Settings) -> list[Count]:
    """Return how many refusals there are of each state, table and kind."""
    async with _connected(settings) as connection:
        rows = await (await connection.execute(_SQL["count_refusals"])).fetchall()
    return [Count(*row) for row in rows]


async def find_refusal(settings: Settings, quarantine_id: int) -> Refusal:
    """Return one refusal with its payload. Raises NotFound."""
    async with _connected(settings) as connection:
        rows = await connection.execute(_SQL["find_refusal"], {"quarantine_id": quarantine_id})
        row = await rows.fetchone()
    if row is None:
        raise NotFound(f"Nothing in quarantine has the number {quarantine_id}.")
    return Refusal(*row)


async def replay(
    settings: Settings, quarantine_ids: Sequence[int] = (), *, kind: str | None = None, dry_run: bool = False
) -> list[Verdict]:
    """Validate held payloads again and store those that pass now, each with its mark in one transaction.

    Without ids, all of a kind that wait; without a kind, all but those of foreign stores. Safe to repeat and to kill.
    Raises NotFound for an id that is not there.
    """
    async with _connected(settings) as connection:
        ids: Sequence[int] = quarantine_ids
        if not ids:
            rows = await (await connection.execute(_SQL["list_held_ids"], {"kind": kind})).fetchall()
            ids = [quarantine_id for (quarantine_id,) in rows]
        desk = Desk(settings.ingest.max_record_bytes)
        return [await desk.replay(connection, quarantine_id, dry_run=dry_run) for quarantine_id in ids]


async def fix(settings: Settings, quarantine_id: int, payload: bytes, *, dry_run: bool = False) -> Verdict:
    """Store a corrected record in the place of a refused one, if it passes now. Raises NotFound."""
    async with _connected(settings) as connection:
        desk = Desk(settings.ingest.max_record_bytes)
        return await desk.fix(connection, quarantine_id, payload, dry_run=dry_run)


async def dismiss(settings: Settings, quarantine_id: int) -> Verdict:
    """Note that a refused record is not to be stored. Raises NotFound."""
    async with _connected(settings) as connection:
        return await Desk(settings.ingest.max_record_bytes).dismiss(connection, quarantine_id)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncGenerator[Connection]:
    login = conninfo(settings, DatabaseRole.INGEST, {"connect_timeout": 5})  # 5 s: a command must not hang
    try:
        connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(login, autocommit=True)
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached: is the platform up?") from error
    async with connection:
        yield connection
