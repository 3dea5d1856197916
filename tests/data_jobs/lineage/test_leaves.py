"""Single values are found and replaced wherever they are."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_jobs.lineage.leaves import (
    collect_leaves,
    field_paths,
    list_paths,
    mixed_values,
    new_values,
    put_leaves,
    shorten_lists,
)

ROWS = [
    {"id": 1, "lines": [{"sku": "a", "cents": 5}, {"sku": "b", "cents": None}], "document": '{"total":7,"tags":["x"]}'},
    {"id": 2, "lines": [], "document": None},
]


def test_values_are_found_in_lists_structs_and_json() -> None:
    assert collect_leaves(ROWS) == {
        "id": [1, 2],
        "lines.sku": ["a", "b"],
        "lines.cents": [5, None],
        "document.total": [7],
        "document.tags": ["x"],
        "document": [None],
    }
    assert list_paths(ROWS) == ["lines", "document.tags"]


def test_values_are_put_where_they_were_found() -> None:
    changed = put_leaves(ROWS, "lines.sku", ["c", "d"])
    assert [line["sku"] for line in changed[0]["lines"]] == ["c", "d"]
    assert put_leaves(ROWS, "document.total", [8])[0]["document"] == '{"total":8,"tags":["x"]}'
    assert changed[1] == ROWS[1]


def test_lists_are_shortened_by_their_last() -> None:
    assert [len(row["lines"]) for row in shorten_lists(ROWS, "lines")] == [1, 0]
    assert shorten_lists(ROWS, "document.tags")[0]["document"] == '{"total":7,"tags":[]}'


def test_paths_of_a_schema_reach_into_lists_of_structs() -> None:
    line = pa.struct([pa.field("sku", pa.string()), pa.field("codes", pa.list_(pa.int32()))])
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("lines", pa.list_(line))])
    assert field_paths(schema) == ["id", "lines.sku", "lines.codes"]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(-1e6, 1e6),
    st.dates(date(2000, 1, 1), date(2099, 1, 1)),
    st.integers(0, 10**9).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.text(),
    st.dates(date(2000, 1, 1), date(2099, 1, 1)).map(str),
)


@given(VALUES)
def test_a_new_value_is_another_one_of_the_same_type(value: object) -> None:
    (other,) = new_values([value])
    assert type(other) is type(value)
    assert (other == value) == (value is None)


def test_a_day_in_writing_stays_one() -> None:
    assert new_values(["2026-11-17", "2026-11-17T18:05:00Z"]) == ["2026-12-19", "2026-12-19T18:06:00Z"]


@given(st.lists(st.one_of(st.none(), st.integers()), min_size=1))
def test_values_that_are_moved_stay_the_same_values(values: list[int | None]) -> None:
    for moved in mixed_values(values, missing=False):
        assert sorted(value for value in moved if value is not None) == sorted(v for v in values if v is not None)
        assert [value is None for value in moved] == [value is None for value in values]


def test_what_has_no_other_value_is_refused() -> None:
    with pytest.raises(TypeError, match="No other value is known for bytes"):
        new_values([b"x"])
