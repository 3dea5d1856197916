"""Receipts that fit a typed search: one statement, loosened step by step when nothing fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import AsyncConnection

from receipts.access import Principal
from receipts.sql import load_sql
from serve_apps.scoped import scope
from serve_apps.search_answers import MOST_PLACES, Hit
from serve_apps.search_reasons import Closeness, highlights, reasons
from serve_apps.search_wanted import Wanted, loosened
from serve_apps.serving import ServingContext
from serve_apps.summaries import SummaryRow, summary

_SQL = load_sql("serve_apps", "search_engine")


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, what was given up for them, and where the next page begins."""

    hits: tuple[Hit, ...]
    relaxations: tuple[str, ...]
    next_offset: int | None


async def search_receipts(
    context: ServingContext, principal: Principal, wanted: Wanted, limit: int, offset: int
) -> Found:
    """Return the receipts of a principal's scope that fit best, from a place on, at most `limit`.

    Loosens the search, one step after the other, as long as it has no answer at all.
    """

    async def search(connection: AsyncConnection[Any]) -> Found:
        return await _search(connection, principal, wanted, limit, offset)

    return await context.reads.find(search, found=lambda page: bool(page.hits))


async def _search(
    connection: AsyncConnection[Any], principal: Principal, wanted: Wanted, limit: int, offset: int
) -> Found:
    said: list[str] = []
    tries = loosened(wanted)
    while True:
        rows = await _rows(connection, principal, wanted, limit + 1, offset)
        looser = None
        if not rows and not (offset and await _rows(connection, principal, wanted, 1, 0)):
            looser = next(tries, None)
        if looser is None:
            break
        wanted, sentence = looser
        said.append(sentence)
    more = len(rows) > limit and offset + limit <= MOST_PLACES
    hits = tuple(_hit(wanted, row) for row in rows[:limit])
    return Found(hits, tuple(said) if hits else (), offset + limit if more else None)


async def _rows(
    connection: AsyncConnection[Any], principal: Principal, wanted: Wanted, rows: int, offset: int
) -> list[tuple[Any, ...]]:
    async with scope(connection, principal):
        cursor = await connection.execute(_SQL["search_receipts"], wanted.parameters(offset, rows))
        return await cursor.fetchall()


def _hit(wanted: Wanted, row: tuple[Any, ...]) -> Hit:
    head, score, near = SummaryRow(*row[:4]), row[4], Closeness(*row[5:])
    receipt = summary(head)
    lines = orjson.loads(head.document)["lines"]
    return Hit(
        receipt=receipt,
        score=round(min(max(float(score), 0.0), 1.0), 4),
        matched_on=reasons(wanted, near, receipt, lines),
        highlights=highlights(near, lines),
    )
