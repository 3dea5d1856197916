"""Which products a phrase means: looked up once, whatever the search gives up afterwards, and remembered a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from receipts.sql import load_sql
from serve_apps.serving import ServingContext

_SQL = load_sql("serve_apps", "search_engine")
_MOST = 2_000  # products of a phrase: "cheese" has hundreds, and who asks for "food" needs another word
_FRESH_S = 60.0  # a catalogue changes by the night
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase for products. Without `embedding` (384 floats as pgvector reads them) only its words are looked for.

    `quantity` is how many were said to have been bought.
    """

    text: str
    lexical: str
    embedding: str | None = None
    quantity: int | None = None


class Products(NamedTuple):
    """Products that answer phrases, as parallel lists: their phrase counts from 1, their likeness is 0 to 1."""

    skus: list[str]
    terms: list[int]
    similarities: list[float]
    literals: list[bool]


@dataclass(slots=True)  # not frozen: it remembers
class ProductSearch:
    """Finds the products of phrases for one replica."""

    context: ServingContext
    _known: OrderedDict[tuple[str, bool], tuple[float, Products]] = field(default_factory=OrderedDict)

    async def of(self, terms: Sequence[Term]) -> Products:
        """Return the products of all phrases, in the order of the phrases."""
        missing = [term for term in dict.fromkeys(terms) if self._remembered(term) is None]
        if missing:
            self._remember(missing, await self._find(missing))
        found = Products([], [], [], [])
        for number, term in enumerate(terms, 1):
            known = self._remembered(term) or Products([], [], [], [])
            found.skus.extend(known.skus)
            found.terms.extend([number] * len(known.skus))
            found.similarities.extend(known.similarities)
            found.literals.extend(known.literals)
        return found

    def _remembered(self, term: Term) -> Products | None:
        at, known = self._known.get(_key(term), (float("-inf"), None))
        return known if time.monotonic() - at < _FRESH_S else None

    def _remember(self, terms: Sequence[Term], found: Products) -> None:
        each = {number: Products([], [], [], []) for number in range(1, len(terms) + 1)}
        for sku, number, similarity, literal in zip(*found, strict=True):
            known = each[number]
            known.skus.append(sku)
            known.similarities.append(similarity)
            known.literals.append(literal)
        now = time.monotonic()
        for number, term in enumerate(terms, 1):
            self._known[_key(term)] = (now, each[number])
            self._known.move_to_end(_key(term))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _find(self, terms: Sequence[Term]) -> Products:
        asked = {
            "lexical": [term.lexical for term in terms],
            "embeddings": [term.embedding for term in terms],
            "most": _MOST,
        }

        async def find(connection: AsyncConnection[Any]) -> Products:
            row = await (await connection.execute(_SQL["search_terms"], asked)).fetchone()
            return Products(*row) if row else Products([], [], [], [])

        return await self.context.reads.run(find)


def _key(term: Term) -> tuple[str, bool]:
    return term.lexical, term.embedding is not None
