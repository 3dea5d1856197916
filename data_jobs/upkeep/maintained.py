"""All tables that are kept up: the refined ones, and Bronze seen as such."""

from __future__ import annotations

from collections.abc import Iterable

from data_jobs.catalogue import TABLES
from data_jobs.declaration import Kind, Personal, Retention, Table
from receipts import bronze
from receipts.errors import InvalidInput
from receipts.lake import LakeTable


def _as_declared(table: LakeTable) -> Table:
    """Return a Bronze table as one that others write: sorted by `sequence`, kept as long as all that is made of it."""
    return Table(
        name=table.name,
        grain="One row per distinct payload received.",
        key=("sequence", "payload_digest"),
        kind=Kind.FILLED,
        schema=table.schema,
        clustered_by="sequence",
        statistics=tuple(table.statistics),
        personal=Personal.CONTACT,
        retention=_longest([each for each in TABLES if each.input is table]),
    )


def _longest(made: Iterable[Table]) -> Retention | None:
    """Return how long rows must be kept that these tables are made of; for ever where one of them is."""
    days = [None if table.retention is None else table.retention.days for table in made]
    known = [each for each in days if each is not None]
    return Retention("received_at", max(known)) if known and len(known) == len(days) else None


BRONZE: tuple[Table, ...] = tuple(_as_declared(table) for table in bronze.TABLES)
KEPT: tuple[Table, ...] = (*BRONZE, *TABLES)


def find_kept(name: str) -> Table:
    """Return a table by name. Raises InvalidInput that lists the names there are."""
    for table in KEPT:
        if table.name == name:
            return table
    raise InvalidInput("table", f"{name} is not one of {', '.join(table.name for table in KEPT)}")


def chosen(names: Iterable[str]) -> tuple[Table, ...]:
    """Return the named tables, or all of them where none is named."""
    return tuple(find_kept(name) for name in names) or KEPT
