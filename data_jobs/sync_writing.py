"""Rows of the lake written to Postgres: rendered by columns, brought by COPY, written by one statement."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from data_jobs.declaration import Served, Table
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "sync_writing")
_STATEMENT_ROWS = 50_000  # per COPY: what a statement sorts in memory
_FEW_ROWS = 2_000  # that deleting is cheaper than the new file a TRUNCATE makes
_TABS = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}  # what COPY's text format escapes

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


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rows in COPY's text format: what the server needs no more work of ours for."""

    text: bytes
    rows: int


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
    row = connection.execute(_SQL[f"holds_{served(table).relation}"]).fetchone()
    return row is not None and bool(row[0])


def render(table: Table, rows: pl.DataFrame) -> Rendered:
    """Render rows of the lake, each key once, as the relation takes them."""
    columns = served(table).columns
    # In the order of keys, in which they are written: the server finds nothing left to sort.
    ordered = rows.sort(table.key)
    return _rendered(ordered.select(expression.alias(name) for name, expression in columns.items()))


def write(connection: Connection, table: Table, rows: pl.DataFrame) -> Written:
    """Write rows of the lake, each key once, within the caller's transaction."""
    chunks = (render(table, chunk) for chunk in rows.iter_slices(_STATEMENT_ROWS) if chunk.height)
    return sum((write_rendered(connection, table, chunk) for chunk in chunks), Written())


def write_rendered(connection: Connection, table: Table, rows: Rendered) -> Written:
    """Write rendered rows within the caller's transaction."""
    relation = served(table).relation
    _copy(connection, f"copy_{relation}", rows)
    confirmed = 0
    if f"confirm_{relation}" in _SQL:
        confirmed = int((connection.execute(_SQL[f"confirm_{relation}"], prepare=False).fetchone() or (0,))[0])
    # Planned anew each time: how much has arrived decides how it is joined.
    written = connection.execute(_SQL[f"record_{relation}"], prepare=False).rowcount
    _clear(connection, relation, rows.rows)
    return Written(written, confirmed)


def delete(connection: Connection, table: Table, keys: pl.DataFrame) -> Written:
    """Remove rows by their keys, columns of text or of the lake's types, within the caller's transaction."""
    relation = served(table).relation
    columns = served(table).columns
    deleted = 0
    for chunk in keys.iter_slices(_STATEMENT_ROWS):
        if chunk.height:
            ordered = chunk.select(name for name in columns if name in table.key)
            _copy(connection, f"copy_keys_{relation}", _rendered(ordered))
            deleted += connection.execute(_SQL[f"delete_{relation}"], prepare=False).rowcount
            _clear(connection, relation, chunk.height)
    return Written(deleted=deleted)


def _copy(connection: Connection, block: str, rows: Rendered) -> None:
    with connection.cursor() as cursor, cursor.copy(_SQL[block]) as copy:
        copy.write(rows.text)


def _clear(connection: Connection, relation: str, rows: int) -> None:
    connection.execute(_SQL[f"clear_{relation}" if rows <= _FEW_ROWS else f"empty_{relation}"])


def _rendered(rows: pl.DataFrame) -> Rendered:
    """Render without an object per value: polars writes all of it, escaped where the format wants it."""
    escaped = [_escaped(text) for text in rows.select(pl.selectors.string())]
    digests = ("\\\\x" + pl.selectors.binary().bin.encode("hex")).name.keep()
    target = io.BytesIO()
    rows.with_columns(*escaped, digests).write_csv(
        target,
        include_header=False,
        separator="\t",
        quote_style="never",
        null_value="\\N",
        datetime_format="%Y-%m-%d %H:%M:%S%.6f+00",
    )
    return Rendered(target.getvalue(), rows.height)


def _escaped(texts: pl.Series) -> pl.Series:
    """Escape the texts that need it: looking for them costs a quarter of going through all of them."""
    found = texts.to_frame("text").select(
        pl.any_horizontal(pl.col("text").str.contains(c, literal=True) for c in _TABS)
    )
    places = found.to_series().fill_null(value=False).arg_true()
    return texts.scatter(places, texts.gather(places).str.replace_many(_TABS)) if len(places) else texts
