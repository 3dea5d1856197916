"""How far readers are behind what they read."""

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake

from cluster.lags import LakeWatch
from data_jobs.tables import gold_return_patterns, silver_returns
from receipts.lake import lake_of


def one_row(schema: pa.Schema) -> pa.Table:
    """Return a row of nothing but zeros, in any table's schema."""
    empty = pl.from_arrow(schema.empty_table())
    assert isinstance(empty, pl.DataFrame)
    lists = [name for name, kind in empty.schema.items() if isinstance(kind, pl.List)]
    row = empty.clear(1).with_columns(pl.exclude(lists).fill_null(strategy="zero"))
    return row.with_columns(pl.lit([]).cast(empty.schema[name]).alias(name) for name in lists).to_arrow().cast(schema)


def test_commits_without_rows_put_nobody_behind_and_one_with_rows_does(settings):
    lake = lake_of(settings)
    source = lake.ensure(silver_returns.TABLE.lake_table)
    lake.ensure(gold_return_patterns.TABLE.lake_table)
    watch = LakeWatch(lake)

    def behind() -> tuple[int, float]:
        told = watch.refinement(watch.versions())["gold.return_patterns"]
        return told["behind"], told["lag_s"]

    for _ in range(3):  # a day without returns
        source = lake.open(source_name := "silver.returns")
        source.create_write_transaction([], "append", source.schema())
        assert behind() == (0, 0.0)
    write_deltalake(lake.open(source_name), one_row(silver_returns.TABLE.lake_table.schema), mode="append")
    number, lag_s = behind()
    assert number == 1
    assert 0 < lag_s < 60  # a minute: the commit was made a moment ago
    source = lake.open(source_name)
    source.create_write_transaction([], "append", source.schema())
    assert behind()[0] == 2, "what came after it is unread as well"
    assert LakeWatch(lake).refinement(watch.versions())["gold.return_patterns"]["behind"] == 2
