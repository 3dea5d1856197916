"""Whom a name, an e-mail address or a telephone number may mean: found by indexes, names ranked by likeness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from receipts.access import Principal
from receipts.sql import load_sql
from receipts.text import normalise_email, normalise_phone
from serve_apps.people_names import likeness, shares_word, spellings, typed_words
from serve_apps.scoped import scope
from serve_apps.search_wanted import Likely
from serve_apps.serving import ServingContext

_SQL = load_sql("serve_apps", "search_people")
_NAMES = 60  # of each question: the database's order by edits is coarse, and the best is nearly always among them
_BEARERS = 100  # of a name
_KEPT = 200  # customers in all
_FEW, _FEWEST = 10, 3  # names: so many relatives join those that are like enough, fewer where there are many
LIKE_ENOUGH = 0.78  # below it the names in question are other people's
_WORTH_OF_BEARERS = 0.004  # for each e-fold of them: between two names that are as alike, the commoner

_WORTH_OF_SURNAME, _WORTH_OF_ITS_BEARERS = 0.86, 0.004  # of a relative, in place of likeness


class Namesakes(NamedTuple):
    """A name and customers who bear it; `likeness` is 0..1 to what was typed."""

    name_norm: str
    customer_ids: Sequence[str]
    likeness: float


async def search_customers(context: ServingContext, principal: Principal, name: str) -> Likely:
    """Return the customers of a principal's scope that a name may mean, the likeliest first; maybe none."""

    async def read(connection: AsyncConnection[Any]) -> list[Namesakes]:
        async with scope(connection, principal):
            return await list_namesakes(connection, name)

    found = await context.reads.find(read)
    # Relatives are asked for only where there is nobody of the name.
    found = [each for each in found if each.likeness >= LIKE_ENOUGH] or found
    pairs = [(customer_id, each.likeness) for each in found for customer_id in each.customer_ids][:_KEPT]
    return Likely(tuple(customer_id for customer_id, _ in pairs), tuple(score for _, score in pairs))


async def list_namesakes(connection: AsyncConnection[Any], name: str) -> list[Namesakes]:
    """Return the names of customers in the connection's scope that a typed one may mean, the likeliest first."""
    words = typed_words(name)
    if not words:
        return []
    columns = list(zip(*spellings(words), strict=True))
    parameters = dict(zip(("spellings", "starts", "ends", "costs"), map(list, columns), strict=True))
    cursor = await connection.execute(
        _SQL["find_people"], parameters | {"names": _NAMES, "bearers": _BEARERS}, prepare=True
    )
    return rank(words, await cursor.fetchall())


def rank(words: Sequence[str], rows: Iterable[tuple[str, list[str]]]) -> list[Namesakes]:
    """Return names and their bearers that may be the one typed, the likeliest first.

    Those that are like enough, and where they are few, names that share a word of it: most likely of one household. A
    surname that is typed exactly and borne by few says more than a name that is only a little like it.
    """
    scored = [Namesakes(name, ids, likeness(words, name.split())) for name, ids in dict(rows).items()]
    surnames = Counter(each.name_norm.split()[-1] for each in scored)
    kept: list[tuple[float, Namesakes]] = []
    related: list[tuple[float, Namesakes]] = []
    for each in scored:
        last = each.name_norm.split()[-1]
        worth = each.likeness + _WORTH_OF_BEARERS * math.log(len(each.customer_ids))
        if each.likeness >= LIKE_ENOUGH:
            kept.append((worth, each))
        elif last in words and len(last) > 2:
            related.append((_WORTH_OF_SURNAME - _WORTH_OF_ITS_BEARERS * surnames[last], each))
        elif shares_word(words, (each.name_norm.split()[0], last)):
            related.append((worth - 1, each))
    related.sort(key=lambda pair: (-pair[0], pair[1].name_norm))
    few = kept + related[: max(_FEWEST, _FEW - len(kept))]
    return [each for _, each in sorted(few, key=lambda pair: (-pair[0], pair[1].name_norm))]


async def search_customers_by_contact(
    context: ServingContext, principal: Principal, *, email: str | None = None, phone: str | None = None
) -> Likely:
    """Return the customers of a principal's scope with an e-mail address or a telephone number, or with both."""
    wanted = {
        "email": None if email is None else normalise_email(email).replace("\0", ""),  # Postgres has no such letter
        "phone": None if phone is None else normalise_phone(phone),
        "most": _KEPT,
    }

    async def read(connection: AsyncConnection[Any]) -> list[tuple[Any, ...]]:
        async with scope(connection, principal):
            cursor = await connection.execute(_SQL["find_customers_by_contact"], wanted)
            return await cursor.fetchall()

    ids = tuple(str(row[0]) for row in await context.reads.find(read))
    return Likely(ids, (1.0,) * len(ids))
