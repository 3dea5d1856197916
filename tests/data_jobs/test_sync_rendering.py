"""What is rendered for COPY is what Postgres reads."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_jobs.sync import SERVED
from data_jobs.sync_rendering import render_rows
from data_jobs.sync_snapshot import empty_of
from data_jobs.sync_writing import list_types, needed_columns, render

TYPES = {
    "small": "int2",
    "middle": "int4",
    "large": "int8",
    "day": "date",
    "instant": "timestamptz",
    "words": "text",
    "raw": "bytea",
}
SCHEMA = {
    "small": pl.Int16,
    "middle": pl.Int32,
    "large": pl.Int64,
    "day": pl.Date,
    "instant": pl.Datetime("us", "UTC"),
    "words": pl.String,
    "raw": pl.Binary,
}
ODD = "a\tb\r\n\\.\n\\N \U0001f9c0"
LOWEST = (-(2**15), -(2**31), -(2**63), date(1, 1, 1), datetime(1, 1, 2, tzinfo=UTC), "", b"")
HIGHEST = (2**15 - 1, 2**31 - 1, 2**63 - 1, date(9999, 12, 31), datetime(9999, 12, 30, tzinfo=UTC), ODD, b"\x00\xff")
NOTHING = (None,) * len(TYPES)


def a_row() -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.dates(),
        # Away from the years that no other zone's clock can show.
        st.none() | st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis wants the bounds without a zone
        st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),  # Postgres keeps no NUL in a text
        st.none() | st.binary(),
    )


@pytest.fixture
def arrived(owner: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection with a table of a column for each type."""
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    owner.execute(f"CREATE TEMP TABLE arrived (number serial, {columns})".encode())
    return owner


def copied(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    columns = ", ".join(rows.columns)
    with connection.cursor().copy(f"COPY arrived ({columns}) FROM STDIN (FORMAT binary)".encode()) as copy:
        for part in render_rows(rows, TYPES).parts:
            copy.write(part)
    return connection.execute(f"SELECT {columns} FROM arrived ORDER BY number".encode()).fetchall()


@given(rows=st.lists(a_row(), max_size=20))
@example(rows=[LOWEST, NOTHING, HIGHEST])
@example(rows=[NOTHING, NOTHING])
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the table is emptied each time
def test_every_value_arrives_as_it_was(arrived: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    arrived.execute("TRUNCATE arrived")
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert copied(arrived, frame) == rows


def test_part_of_a_frame_is_rendered_as_that_part(arrived: psycopg.Connection[Any]) -> None:
    frame = pl.DataFrame([LOWEST, HIGHEST, NOTHING, HIGHEST], schema=SCHEMA, orient="row")
    assert copied(arrived, frame.slice(1, 2)) == [HIGHEST, NOTHING]


def test_a_number_is_widened_to_its_column_and_refused_where_it_does_not_fit(arrived: psycopg.Connection[Any]) -> None:
    assert copied(arrived, pl.DataFrame({"large": [7]}, schema={"large": pl.Int16})) == [(7,)]
    with pytest.raises(pl.exceptions.InvalidOperationError, match="i16"):
        copied(arrived, pl.DataFrame({"small": [2**15]}))


@pytest.mark.parametrize("table", SERVED, ids=lambda table: table.name)
def test_each_served_table_has_types_that_can_be_rendered(owner: psycopg.Connection[Any], table: Any) -> None:
    rendered = render(table, empty_of(table, needed_columns(table)), list_types(owner, table))
    assert rendered.rows == 0
