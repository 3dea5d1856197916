"""People found by perturbed names on a real Postgres: how often the one who is meant is among the first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from random import Random

import numpy as np
import psycopg

from cluster.evaluations.perturbing import EXACT, PEOPLE, Change, renamed, seeded
from configs.settings import Settings
from ingest.recording import list_stores, next_numbering, record_group
from ingest.records import Incoming
from ingest.sources.overlay.network import network
from ingest.sources.overlay.people import people
from ingest.validation import Origin, Parsed, parse, place
from receipts import bronze
from receipts.access import Principal, Role
from receipts.database import DatabaseRole, connect, conninfo
from receipts.models import Customer, Record
from receipts.sql import load_sql
from receipts.text import normalise
from serve_apps.people_names import nicknames
from serve_apps.scoped import scope
from serve_apps.search_people import list_namesakes

_SQL = load_sql("cluster.evaluations", "people")
_JOINED_BEFORE = date(2026, 11, 1)
_DOUBLE = 20  # one customer in so many bears two surnames
_GROUP = 1_000  # customers in a transaction
_MOST_BYTES = 1_000_000
NICKNAME = "by a nickname"


@dataclass(frozen=True, slots=True)
class Score:
    """Of one way to go wrong: names asked for, and how many were found first, and among the first ten names."""

    kind: str
    asked: int
    first: int
    among_ten: int


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """What was found among so many customers. Nicknames are drawn from the table they are looked up in."""

    customers: int
    scores: tuple[Score, ...]

    def recall(self, places: int, *, nicknames: bool = True) -> float:
        """Return the share found at the first place (1) or among the first ten (10)."""
        counted = [score for score in self.scores if nicknames or score.kind != NICKNAME]
        found = sum(score.first if places == 1 else score.among_ten for score in counted)
        return found / max(sum(score.asked for score in counted), 1)


def evaluate_people(
    settings: Settings, *, customers: int = 20_000, queries: int = 1_200, seed: int = 1
) -> PeopleReport:
    """Enter the chain's stores and invented customers into an empty database, then look for perturbed names.

    `settings` are of a migrated database with the principal `rep.all`.
    """
    entered = list(_customers(customers))
    enter(settings, bronze.STORES.name, [shop.store for shop in network()])
    enter(settings, bronze.CUSTOMERS.name, entered)
    names = sorted({normalise(f"{one.first_name} {one.last_name}") for one in entered})
    asked = list(perturbed(names, queries, seed))
    found = look_up(settings, [query for _, query, _ in asked])
    return PeopleReport(customers, tuple(score(asked, found)))


def perturbed(
    names: Sequence[str], queries: int, seed: int, ways: Mapping[str, Change] | None = None
) -> Iterator[tuple[str, str, str]]:
    """Yield kind, what is typed and the name that is meant; every kind as often as the others."""
    ways = ways or {**PEOPLE, NICKNAME: renamed(nicknames)}
    each = -(-queries // len(ways))
    for kind, change in ways.items():
        random = seeded(seed, kind)
        yield from islice(_changed(kind, change, names, random), each)


def _changed(kind: str, change: Change, names: Sequence[str], random: Random) -> Iterator[tuple[str, str, str]]:
    for _ in range(200 * len(names)):  # a way that fits no name ends
        name = names[random.randrange(len(names))]
        words = change(name.split(), random)
        if words is not None and (words != name.split() or kind == EXACT):
            yield kind, " ".join(words), name


def score(asked: Iterable[tuple[str, str, str]], found: Iterable[Sequence[str]]) -> Iterator[Score]:
    """Yield the score of each kind."""
    places: dict[str, list[int]] = {}
    for (kind, _, name), names in zip(asked, found, strict=True):
        places.setdefault(kind, []).append(names.index(name) if name in names else len(names) + 10)
    for kind, seen in places.items():
        yield Score(kind, len(seen), sum(at == 0 for at in seen), sum(at < 10 for at in seen))


def look_up(settings: Settings, queries: Sequence[str]) -> list[list[str]]:
    """Return the names found for each query, the likeliest first, as the serving role with all regions."""
    with connect(settings, DatabaseRole.AUTH) as connection:
        row = connection.execute(_SQL["open_everything"]).fetchone()
    assert row is not None, "the database has no principal rep.all"
    principal = Principal("rep.all", Role.CS_REP, str(row[0]))

    async def ask() -> list[list[str]]:
        login = conninfo(settings, DatabaseRole.API)
        async with await psycopg.AsyncConnection.connect(login, autocommit=True) as connection:
            answers: list[list[str]] = []
            for query in queries:
                async with scope(connection, principal):
                    answers.append([each.name_norm for each in await list_namesakes(connection, query)])
            return answers

    return asyncio.run(ask())


def enter(settings: Settings, table: str, models: Sequence[Record]) -> None:
    """Write records as the gateway does: its validation, its statements, its role."""
    asyncio.run(_enter(settings, table, models))


async def _enter(settings: Settings, table: str, models: Sequence[Record]) -> None:
    origin = Origin(table, "evaluation", datetime.now(UTC))
    async with await psycopg.AsyncConnection.connect(conninfo(settings, DatabaseRole.INGEST)) as connection:
        places = await list_stores(connection)
        numbering = await next_numbering(connection)
        for first in range(0, len(models), _GROUP):
            group: list[Incoming] = []
            for model in models[first : first + _GROUP]:
                parsed = parse(model.canonical().encode(), origin, max_bytes=_MOST_BYTES)
                assert isinstance(parsed, Parsed), parsed
                group.append(place(parsed, places, origin))
            await record_group(connection, numbering.number(group))
            await connection.commit()


def _customers(count: int) -> Iterator[Customer]:
    """Yield invented customers; some with the surname of another behind their own, with a hyphen."""
    numbers = np.arange(1, count + 1)
    homes = [network()[number % len(network())] for number in numbers.tolist()]
    made = list(people(numbers, homes, _JOINED_BEFORE))
    for i, one in enumerate(made):
        other = made[(i * 7 + 1) % len(made)].last_name
        double = i % _DOUBLE == 0 and other != one.last_name
        yield one.model_copy(update={"last_name": f"{one.last_name}-{other}"}) if double else one
