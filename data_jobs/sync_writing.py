"""Rows of the lake written to Postgres: brought by COPY, confirmed where they are there, written by one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from data_jobs.declaration import Served, Table
from data_jobs.sync_rendering import Rendered, render_rows
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "sync_writing")
_STATEMENT_ROWS = 50_000  # per COPY: what a statement sorts in memory
_FEW_ROWS = 2_000  # that deleting is cheaper than the new file a TRUNCATE makes

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were written, how many only confirmed, and how many removed."""

    written: int = 0
    confirmed: int = 0
    deleted: int = 0

    def __add__(self, other: Written) -> Written:
        """Add up."""
        return Written(self.written + other.written, self.confirmed + other.confirmed, self.deleted + other.deleted)


def served(table: Table) -> Served:
    """Return where a table is served, which it must be."""
    assert table.served_as is not None, f"{table.name} is not served"
    return table.served_as


def needed_columns(table: Table) -> list[str]:
    """Return the columns of the lake that a served relation is made of."""
    expressions = served(table).columns.values()
    return sorted({*table.key, *(name for expression in expressions for name in expression.meta.root_names())})


def prepare_writing(connection: Connection, *, lasting: bool = True) -> None:
    """Begin a transaction that writes. Unless it is to be `lasting`, a crash may undo the last ones as a whole."""
    connection.execute(_SQL["prepare_writing"], {"lasting": lasting})


def holds_rows(connection: Connection, table: Table) -> bool:
    """Say whether the relation has rows that came from the lake."""
    row = connection.execute(_SQL[f"holds_{served(table).relation}"], {"table": table.name}).fetchone()
    return row is not None and bool(row[0])


def list_types(connection: Connection, table: Table) -> Mapping[str, str]:
    """Return the type of each column in which a table's rows arrive, as this server has it."""
    arriving = f"sync.arriving_{served(table).relation}"
    return dict(connection.execute(_SQL["list_types"], {"arriving": arriving}).fetchall())


def render(table: Table, rows: pl.DataFrame, types: Mapping[str, str]) -> Rendered:
    """Render rows of the lake, each key once, as the relation takes them."""
    return render_rows(_as_served(table, rows), types)


def write(connection: Connection, table: Table, rows: pl.DataFrame) -> Written:
    """Write rows of the lake, each key once, within the caller's transaction.

    Where they may be there already, what tells a version goes ahead, and the rest only of versions that are not there.
    """
    types, total = list_types(connection, table), Written()
    for chunk in rows.iter_slices(_STATEMENT_ROWS):
        if chunk.height:
            arriving = _as_served(table, chunk)
            missing = _not_confirmed(connection, table, arriving, types)
            total += Written(confirmed=arriving.height - missing.height)
            if missing.height:
                total += write_rendered(connection, table, render_rows(missing, types))
    return total


def write_rendered(connection: Connection, table: Table, rows: Rendered) -> Written:
    """Write rendered rows, of which few are there already, within the caller's transaction."""
    relation = served(table).relation
    _copy(connection, f"copy_{relation}", rows)
    confirmed = _confirm(connection, table) if served(table).confirmed else 0
    # Planned anew each time: how much has arrived decides how it is joined.
    written = connection.execute(_SQL[f"record_{relation}"], prepare=False).rowcount
    _clear(connection, relation, rows.rows)
    return Written(written, confirmed)


def delete(connection: Connection, table: Table, keys: pl.DataFrame) -> Written:
    """Remove rows by their keys, in the lake's types, within the caller's transaction."""
    relation, types = served(table).relation, list_types(connection, table)
    deleted = 0
    for chunk in keys.iter_slices(_STATEMENT_ROWS):
        if chunk.height:
            ordered = chunk.select(name for name in served(table).columns if name in table.key)
            _copy(connection, f"copy_keys_{relation}", render_rows(ordered, types))
            deleted += connection.execute(_SQL[f"delete_{relation}"], prepare=False).rowcount
            _clear(connection, relation, chunk.height)
    return Written(deleted=deleted)


def _not_confirmed(
    connection: Connection, table: Table, arriving: pl.DataFrame, types: Mapping[str, str]
) -> pl.DataFrame:
    """Confirm what is there in the very version that arrives, and return the rows that are not."""
    relation, telling = served(table).relation, served(table).confirmed
    if not telling:
        return arriving
    _copy(connection, f"copy_versions_{relation}", render_rows(arriving.select(telling), types))
    confirmed = _confirm(connection, table)
    left = pl.DataFrame(schema={name: arriving.schema[name] for name in table.key})
    if confirmed < arriving.height:
        found = connection.execute(_SQL[f"list_left_{relation}"], prepare=False).fetchall()
        left = pl.DataFrame(found, schema=left.schema, orient="row")
    _clear(connection, relation, arriving.height)
    return arriving.join(left, on=list(table.key), how="semi", maintain_order="left") if confirmed else arriving


def _confirm(connection: Connection, table: Table) -> int:
    row = connection.execute(_SQL[f"confirm_{served(table).relation}"], prepare=False).fetchone()
    return int((row or (0,))[0])


def _as_served(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Return what a relation takes, in the order of keys, in which it is written: the server need not sort."""
    return rows.sort(table.key).select(value.alias(name) for name, value in served(table).columns.items())


def _copy(connection: Connection, block: str, rows: Rendered) -> None:
    with connection.cursor().copy(_SQL[block]) as copy:
        for part in rows.parts:
            copy.write(part)


def _clear(connection: Connection, relation: str, rows: int) -> None:
    connection.execute(_SQL[f"clear_{relation}" if rows <= _FEW_ROWS else f"empty_{relation}"])
