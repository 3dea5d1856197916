"""The desk's work in a gateway: performs administrators' orders, and judges records again whose store has come."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import psycopg

from configs.settings import Settings
from ingest.judging import Desk, Verdict
from ingest.link import Link
from ingest.recording import Connection
from receipts.sql import load_sql

_SQL = load_sql("ingest", "desk")
_log = logging.getLogger(__name__)
_ROUND_S = 1.0  # how long an order waits at most; a round without work is two reads of partial indexes
_A_ROUND = 200  # records judged by themselves in a round: under a second, so that orders do not wait for them


async def serve_desk(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop. While Postgres is away nothing is done, and that is logged once."""
    link = Link(settings)
    desk = Desk(settings.ingest.max_record_bytes)
    away = False
    try:
        while not stop.is_set():
            try:
                await work_round(link, desk)
                away = False
            except psycopg.Error as error:
                if not away:
                    _log.warning("The quarantine desk waits for Postgres: %s.", type(error).__name__)
                away = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _ROUND_S)
    finally:
        await link.close()


async def work_round(link: Link, desk: Desk) -> int:
    """Perform all waiting orders and judge some records whose store has come; answers how many of both."""
    done = 0
    while await _perform_next(link, desk):
        done += 1
    async with link.transaction() as connection:
        rows = await (await connection.execute(_SQL["list_ready_ids"], {"limit": _A_ROUND})).fetchall()
    for (quarantine_id,) in rows:
        async with link.transaction() as connection:
            await desk.replay(connection, quarantine_id)
        done += 1
    return done


async def _perform_next(link: Link, desk: Desk) -> bool:
    """Perform one order with its mark in one transaction, so that a kill leaves it waiting, whole."""
    async with link.transaction() as connection:
        order = await (await connection.execute(_SQL["take_order"])).fetchone()
        if order is None:
            return False
        order_id, quarantine_id, action, payload = order
        verdict = await _perform(connection, desk, quarantine_id, action, payload)
        outcome = verdict.reason or ("dismissed" if verdict.state == "dismissed" else "accepted")
        await connection.execute(_SQL["finish_order"], {"order_id": order_id, "outcome": outcome})
    return True


async def _perform(connection: Connection, desk: Desk, quarantine_id: int, action: str, payload: str | None) -> Verdict:
    if action == "dismiss":
        return await desk.dismiss(connection, quarantine_id)
    if action == "fix":
        return await desk.fix(connection, quarantine_id, (payload or "").encode())
    return await desk.replay(connection, quarantine_id)
