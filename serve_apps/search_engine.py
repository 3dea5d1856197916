"""Receipts that fit a typed search: one statement, loosened step by step when nothing fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from psycopg import AsyncConnection

from receipts.access import Principal
from receipts.sql import load_sql
from serve_apps.scoped import scope
from serve_apps.search_answers import Hit, Place
from serve_apps.search_reasons import Closeness, highlights, reasons
from serve_apps.search_wanted import Wanted, loosened
from serve_apps.serving import ServingContext
from serve_apps.summaries import SummaryRow, summary

_SQL = load_sql("serve_apps", "search_engine")
_HEAD = len(SummaryRow._fields)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, what was given up for them, and where the next page begins.

    `searched_from` is the day back to which was searched, None for the beginning.
    """

    hits: tuple[Hit, ...] = ()
    relaxations: tuple[str, ...] = ()
    next_place: Place | None = None
    searched_from: date | None = None


async def search_receipts(
    context: ServingContext, principal: Principal, wanted: Wanted, limit: int, after: Place
) -> Found:
    """Return the receipts of a principal's scope that fit best, after a place, at most `limit`.

    Loosens the search, one step after the other, as long as it has no answer at all.
    """

    async def search(connection: AsyncConnection[Any]) -> Found:
        return await _search(connection, principal, wanted, limit, after)

    return await context.reads.find(search, found=lambda page: bool(page.hits))


async def _search(
    connection: AsyncConnection[Any], principal: Principal, wanted: Wanted, limit: int, after: Place
) -> Found:
    said: list[str] = []
    tries = loosened(wanted)
    while True:
        steps = len(said)
        rows = await _rows(connection, principal, wanted, limit + 1, after) if steps >= after.steps else []
        looser = None if rows or (steps == after.steps and after.receipt_id) else next(tries, None)
        if looser is None:
            break
        wanted, sentence = looser
        said.append(sentence)
    page = rows[:limit]
    hits = tuple(_hit(wanted, row) for row in page)
    following = None
    if len(rows) > limit:
        last = page[-1]
        following = Place(len(said), float(last[_HEAD + 1]), last[_HEAD].isoformat(), hits[-1].receipt.receipt_id)
    return Found(hits, tuple(said) if hits else (), following, page[0][_HEAD + 2] if page else None)


async def _rows(
    connection: AsyncConnection[Any], principal: Principal, wanted: Wanted, rows: int, after: Place
) -> list[tuple[Any, ...]]:
    place = {"after_score": after.score, "after_at": after.purchased_at, "after_id": after.receipt_id, "rows": rows}
    async with scope(connection, principal):
        cursor = await connection.execute(_SQL["search_receipts"], wanted.parameters() | place)
        return await cursor.fetchall()


def _hit(wanted: Wanted, row: tuple[Any, ...]) -> Hit:
    head, score, near = SummaryRow(*row[:_HEAD]), row[_HEAD + 1], Closeness(*row[_HEAD + 3 :])
    receipt = summary(head)
    lines = orjson.loads(head.document)["lines"]
    return Hit(
        receipt=receipt,
        score=round(min(max(float(score), 0.0), 1.0), 4),
        matched_on=reasons(wanted, near, receipt, lines),
        highlights=highlights(near, lines),
    )
