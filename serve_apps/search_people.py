"""Whom a name may mean: candidates by an index on parts of names, then ranked by how alike they are spelt."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from psycopg import AsyncConnection
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from receipts.access import Principal
from receipts.sql import load_sql
from receipts.text import normalise
from serve_apps.scoped import scope
from serve_apps.search_wanted import Likely
from serve_apps.serving import ServingContext

_SQL = load_sql("serve_apps", "search_people")
_CANDIDATES = 400
_KEPT = 50
_LIKE_ENOUGH = 0.78  # below it the names in question are other people's
_MOST_WORDS = 4


async def search_customers(context: ServingContext, principal: Principal, name: str) -> Likely:
    """Return the customers of a principal's scope that a name may mean, the likeliest first; maybe none."""
    words = normalise(name).split()[:_MOST_WORDS]
    if not words:
        return Likely((), ())

    async def read(connection: AsyncConnection[Any]) -> list[tuple[Any, ...]]:
        async with scope(connection, principal):
            cursor = await connection.execute(_SQL["search_customers"], {"words": words, "most": _CANDIDATES})
            return await cursor.fetchall()

    rows = await context.reads.find(read)
    scored = [(likeness(words, str(name_norm).split()), str(customer_id)) for customer_id, name_norm in rows]
    kept = sorted((pair for pair in scored if pair[0] >= _LIKE_ENOUGH), key=lambda pair: (-pair[0], pair[1]))[:_KEPT]
    return Likely(tuple(customer_id for _, customer_id in kept), tuple(score for score, _ in kept))


def likeness(typed: list[str], name: list[str]) -> float:
    """Return 0..1: the mean likeness of each typed word to a word of the name, in the best order of them.

    0.6 Damerau-Levenshtein + 0.4 Jaro-Winkler, both normalised. A word with no partner counts 0; words of the
    name that were not typed do not count, so that a surname alone finds its people.
    """
    if not typed or not name:
        return 0.0
    padded = [*name[:_MOST_WORDS], *[""] * max(0, len(typed) - len(name))]
    best = max(sum(map(_alike, typed, order)) for order in permutations(padded, len(typed)))
    return best / len(typed)


def _alike(one: str, other: str) -> float:
    if one == other:
        return 1.0
    edits = DamerauLevenshtein.normalized_similarity(one, other)
    return 0.6 * edits + 0.4 * JaroWinkler.normalized_similarity(one, other)
