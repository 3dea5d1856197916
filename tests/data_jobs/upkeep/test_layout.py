"""Which files are rewritten together, judged by sizes and ranges alone."""

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from data_jobs.upkeep.layout import TARGET_BYTES, choose_group, pieces

_SCHEMA = {
    "path": pl.String,
    "size_bytes": pl.Int64,
    "partition": pl.Date,
    "lowest": pl.Int64,
    "highest": pl.Int64,
}


def _files(*files: tuple[int, int | None, int | None]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {"path": f"{n:03d}", "size_bytes": size, "partition": None, "lowest": low, "highest": high}
        for n, (size, low, high) in enumerate(files)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def test_a_few_small_files_are_left_alone_by_day_and_brought_together_at_night():
    files = _files(*((1_000, n, n) for n in range(8)))
    assert choose_group(files, thorough=False) is None
    group = choose_group(files, thorough=True)
    assert group is not None
    assert group.height == 8
    assert pieces(group) == 1


def test_many_small_files_are_brought_together_by_day_too():
    group = choose_group(_files(*((1_000, None, None) for _ in range(40))), thorough=False)
    assert group is not None
    assert group.height == 40


def test_large_files_in_a_row_are_left_alone():
    assert choose_group(_files(*((TARGET_BYTES, n, n + 1) for n in range(50))), thorough=True) is None


def test_files_of_one_value_each_cannot_be_sorted_apart():
    assert choose_group(_files(*((TARGET_BYTES, 7, 7) for _ in range(50))), thorough=True) is None


def test_files_that_hold_the_same_range_are_sorted_apart():
    group = choose_group(_files(*((TARGET_BYTES, 0, 100) for _ in range(9)), (TARGET_BYTES, 200, 300)), thorough=True)
    assert group is not None
    assert group.height == pieces(group) == 4  # what fits into memory; the others come next


@given(
    st.lists(
        st.tuples(st.integers(1, 3 * TARGET_BYTES), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30
    )
)
def test_rewriting_comes_to_an_end(drawn: list[tuple[int, int, int]]):
    files = _files(*((size, low, low + width) for size, low, width in drawn))
    for _ in range(2_000):
        group = choose_group(files, thorough=True)
        if group is None:
            return
        low, high, count = group["lowest"].min(), group["highest"].max(), pieces(group)
        assert isinstance(low, int)
        assert isinstance(high, int)
        edges = [low + (high - low) * n // count for n in range(count + 1)]
        size = int(group["size_bytes"].sum()) // count
        sorted_apart = _files(*((size, edges[n], edges[n + 1]) for n in range(count)))
        rest = files.join(group, on="path", how="anti")
        files = pl.concat([rest, sorted_apart]).with_columns(path=pl.int_range(pl.len()).cast(pl.String).str.zfill(4))
    raise AssertionError("files are rewritten for ever")
