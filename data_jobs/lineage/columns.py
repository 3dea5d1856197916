"""Column-level lineage of the whole catalogue: found by trial, and followed up to Bronze or down to Postgres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import polars as pl

from data_jobs.catalogue import TABLES, in_order
from data_jobs.declaration import Action, Kind, Table, polars_schema
from data_jobs.expectations import EXPECTATION, REASON
from data_jobs.lineage.leaves import field_paths
from data_jobs.lineage.sample import bronze_sample
from data_jobs.lineage.trials import Effect, find_effects, make_rows, settle
from receipts import bronze
from receipts.errors import InvalidInput

POSTGRES = "retail"  # the schema that serves


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One field depends on another. An expectation stands as a field of its table: `expectation adds_up`."""

    table: str
    field: str
    source: str
    source_field: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Trace:
    """A field and what it comes from, or what comes from it; `effect` is how it hangs on the one above."""

    table: str
    field: str
    effect: Effect | None
    next: tuple[Trace, ...]


@cache
def list_edges() -> tuple[Edge, ...]:
    """Return how all fields of the lake and of what Postgres serves depend on each other; takes seconds, once."""
    edges: list[Edge] = []
    sample: dict[str, pl.DataFrame] = bronze_sample()
    for table in in_order():
        made = make_rows(table, sample)
        if made is None:
            sample[table.name] = pl.DataFrame(schema=polars_schema(table.schema))
            edges += _filled(table)
            continue
        sample[table.name] = settle(table, made)
        fields = set(field_paths(table.schema))
        found = [Edge(table.name, *effect) for effect in find_effects(table, sample)]
        edges += [edge for edge in found if edge.field in fields]
        edges += _judged(table, found)
    for table in TABLES:
        edges += _served(table)
    return tuple(sorted(set(edges) | set(_quarantined(edges))))


def fields_by_table() -> dict[str, list[str]]:
    """Return the fields of everything that has lineage: Bronze, the lake's tables and the relations served."""
    fields = {table.name: field_paths(table.schema) for table in (*bronze.TABLES, *TABLES)}
    for table in TABLES:
        if table.served_as is not None:
            fields[f"{POSTGRES}.{table.served_as.relation}"] = list(table.served_as.columns)
    return fields


def find_field(text: str) -> tuple[str, str | None]:
    """Read TABLE or TABLE.COLUMN. Raises InvalidInput with what there is."""
    known = fields_by_table()
    table = next((name for name in known if text == name or text.startswith(f"{name}.")), None)
    if table is None:
        raise InvalidInput("table", f"{text} is not in one of {', '.join(known)}")
    column = text.removeprefix(table).removeprefix(".") or None
    if column is not None and not any(_touches(column, field) for field in [*known[table], *_sources_of(table)]):
        raise InvalidInput("column", f"{column} is not one of {', '.join(known[table])}")
    return table, column


def trace_up(table: str, field: str, effect: Effect | None = None, deep: bool = True) -> Trace:
    """Return what a field comes from, and what that comes from, up to Bronze."""
    above = [edge for edge in list_edges() if edge.table == table and _touches(edge.field, field)]
    found = {(edge.source, edge.source_field): edge.effect for edge in sorted(above, reverse=True)}
    followed = (
        trace_up(*at, effect=how, deep=deep) if deep else Trace(*at, how, ()) for at, how in sorted(found.items())
    )
    return Trace(table, field, effect, tuple(followed))


def trace_down(table: str, field: str, effect: Effect | None = None, deep: bool = True) -> Trace:
    """Return what comes from a field, and what comes from that, down to Postgres."""
    below = [edge for edge in list_edges() if edge.source == table and _touches(edge.source_field, field)]
    found = {(edge.table, edge.field): edge.effect for edge in sorted(below, reverse=True)}
    followed = (
        trace_down(*at, effect=how, deep=deep) if deep else Trace(*at, how, ()) for at, how in sorted(found.items())
    )
    return Trace(table, field, effect, tuple(followed))


def _touches(one: str, other: str) -> bool:
    """Say whether two paths are the same, or one holds the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _sources_of(table: str) -> list[str]:
    """Return the fields of a table as others read them: those inside its JSON texts too."""
    return [edge.source_field for edge in list_edges() if edge.source == table]


def _judged(table: Table, found: list[Edge]) -> Iterator[Edge]:
    """Take expectations for fields that come from whatever the columns they look at come from."""
    sources: dict[str, list[Edge]] = {}
    for edge in found:
        sources.setdefault(edge.field.split(".")[0], []).append(edge)
    for each in table.expectations:
        for name in each.holds.meta.root_names():
            for edge in sources.get(name, ()):
                yield Edge(table.name, f"expectation {each.name}", edge.source, edge.source_field, edge.effect)


def _served(table: Table) -> Iterator[Edge]:
    if table.served_as is None:
        return
    for name, expression in table.served_as.columns.items():
        for root in expression.meta.root_names():
            yield Edge(f"{POSTGRES}.{table.served_as.relation}", name, table.name, root, Effect.DIRECT)


def _filled(table: Table) -> Iterator[Edge]:
    """Take it that a job of its own hands on columns of the same name, and makes the others of all that it reads."""
    if table.input is None:
        return
    read = list(table.columns or table.input.schema.names)
    for name in table.schema.names:
        for source in [name] if name in read else read:
            yield Edge(table.name, name, table.input.name, source, Effect.DIRECT)


def _quarantined(edges: list[Edge]) -> Iterator[Edge]:
    """Refused rows keep their envelope, and say which expectation they broke."""
    by_table: Mapping[str, Table] = {table.name: table for table in TABLES if table.kind is not Kind.FILLED}
    for table in by_table.values():
        if table.quarantine is None:
            continue
        for name in set(table.quarantine.schema.names) & set(table.source.schema.names):
            yield Edge(table.quarantine.name, name, table.source.name, name, Effect.DIRECT)
        refusing = {f"expectation {each.name}" for each in table.expectations if each.action is Action.QUARANTINE}
        for edge in edges:
            if edge.table == table.name and edge.field in refusing:
                for name in (EXPECTATION, REASON):
                    yield Edge(table.quarantine.name, name, edge.source, edge.source_field, Effect.INDIRECT)
