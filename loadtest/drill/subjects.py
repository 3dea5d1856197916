"""What a drill asks for: receipts and customers of all regions, and some that never were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

from configs.settings import Settings
from loadtest.drill.answers import Kind, Subject
from loadtest.targets import Targets, sample_targets
from receipts.database import DatabaseRole, connect
from receipts.identity import MAX_REGISTER, NaturalKey, receipt_id
from receipts.sql import load_sql

_SQL = load_sql("loadtest.drill", "subjects")
_NEVER_DAY = date(2000, 1, 1)  # before any till that sends receipts here
_ONE_OF = 8  # questions for a receipt or customer that never was
_NOBODY = "C9999999999"


@dataclass(frozen=True, slots=True)
class World:
    """What may be asked for, and the region of each store."""

    subjects: Sequence[Subject]
    store_regions: Mapping[int, int]


def choose_subjects(settings: Settings, count: int, seed: int) -> World:
    """Return up to so many receipts, drawn from all over the database, their customers, and what never was.

    A third is about customers. Raises NotFound while there are no receipts.
    """
    targets = sample_targets(settings, count, seed)
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        stores: dict[int, int] = dict(_rows(connection, "list_stores"))
        customers = sorted({one.customer_id for one in targets.targets if one.customer_id is not None})
        seen = {name: frozenset[int](ids) for name, ids in _rows(connection, "list_customers", customer_ids=customers)}
    receipts = [*_receipts(targets, min(stores))]
    known = [*seen.items()] or [(_NOBODY, frozenset[int]())]
    persons = [known[number % len(known)] for number in range(len(receipts) // 4)]
    persons[::_ONE_OF] = [(_NOBODY, frozenset[int]())] * len(persons[::_ONE_OF])
    asked = [Subject(kind, name, ids) for name, ids in persons for kind in (Kind.HISTORY, Kind.CONTEXT)]
    return World([*receipts, *asked], stores)


def _receipts(targets: Targets, store_id: int) -> Iterator[Subject]:
    for number, one in enumerate(targets.targets):
        yield Subject(Kind.RECEIPT, one.receipt_id, frozenset({one.region_id}))
        if number % _ONE_OF == 0:
            never = receipt_id(NaturalKey(store_id, MAX_REGISTER, _NEVER_DAY, number + 1))
            yield Subject(Kind.RECEIPT, never, frozenset())


def _rows(connection: Connection[Any], block: str, **values: object) -> list[tuple[Any, ...]]:
    return connection.execute(_SQL[block], values).fetchall()
