"""What the tasks of a batch are told and what they answer; rows travel in files, never in either."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import polars as pl
import pyarrow as pa

from data_jobs.changes import ChangeFile, read_changes
from data_jobs.declaration import Expectation, Table, polars_schema
from data_jobs.parts import Part
from receipts.lake import Lake

_SEED = 11  # slices must not fall together with the hash partitions of joins within them
RESULT = pa.schema([pa.field("result", pa.string())])


@dataclass(frozen=True, slots=True)
class Plan:
    """What every task of a batch needs to know; only small lookups travel along."""

    table: str
    lake: Lake
    changes: tuple[ChangeFile, ...]
    slices: int
    lookups: Mapping[str, pl.DataFrame]
    snapshot: pl.DataFrame  # as below, of the input as of the last of the changes; none where only changes are read
    existing: pl.DataFrame  # files of the table itself: uri, partition, lowest and highest of its `clustered_by` column
    expectations: tuple[Expectation, ...] = ()  # beside those that are declared


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a slice, or a whole batch, came to."""

    parts: tuple[Part, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)  # rows by the expectation they broke

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.parts + other.parts, self.counts + other.counts, self.caught + other.caught)

    def to_json(self) -> str:
        """Return what travels back to the driver: some hundred bytes."""
        parts = [asdict(part) for part in self.parts]
        return json.dumps({"parts": parts, "counts": self.counts, "caught": self.caught})

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read what a task sent back."""
        raw = json.loads(text)
        parts = tuple(Part(**part) for part in raw["parts"])
        return cls(parts, Counter(raw["counts"]), Counter(raw["caught"]))


def in_slice(table: Table, slices: int, number: int) -> pl.Expr | None:
    """Return which rows of the input a slice is made of, or none when there is only one."""
    return pl.col(table.slice_by).hash(_SEED) % slices == number if slices > 1 else None


def read_slice(plan: Plan, table: Table, where: pl.Expr | None) -> pl.DataFrame:
    """Return the changed rows of a slice, in the columns the table reads."""
    return read_changes(plan.changes, plan.lake.storage_options, table.columns or None, where)


def read_snapshot(plan: Plan, table: Table, keys: pl.Series, days: pl.Series | None = None) -> pl.DataFrame:
    """Return all input rows with one of these values in the column that the series is named after.

    With `days`, only files are read that may hold one of these values of the input's `clustered_by`.
    """
    assert isinstance(table.source, Table), f"{table.name} follows a table that is not refined"
    columns = list(table.columns) or table.source.schema.names
    files = plan.snapshot if days is None else holding(plan.snapshot, days)
    return _rows_among(plan, table.source, tuple(files["uri"]), keys, columns)


def holding(files: pl.DataFrame, days: pl.Series) -> pl.DataFrame:
    """Return the files that may hold one of some days, which may be far apart; what is not known may hold any."""
    known = files.filter(pl.col("lowest").is_not_null() & pl.col("highest").is_not_null()).sort("lowest")
    wanted = pl.DataFrame({"day": days.drop_nulls().unique().sort()})
    if known.is_empty() or wanted.is_empty():
        return files if known.is_empty() else files.join(known, on="uri", how="anti")
    first = known.join_asof(wanted, left_on="lowest", right_on="day", strategy="forward")
    none = first.filter(~(pl.col("day") <= pl.col("highest")).fill_null(value=False))
    return files.join(none, on="uri", how="anti")


def read_own(plan: Plan, table: Table, keys: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the rows that the table holds of some keys, reading only files that may hold them.

    Of several key columns only the first need be there: then they are all rows with that part of the key.
    """
    column, files, key = table.clustered_by, plan.existing, list(table.key)
    if table.partitioned_by is not None:
        files = files.filter(pl.col("partition").is_in(keys[table.partitioned_by].unique().implode()))
    elif column is not None and keys.height:
        apart = (pl.col("highest") < keys[column].min()) | (pl.col("lowest") > keys[column].max())
        files = files.filter(~apart.fill_null(value=False))
    rows = _rows_among(plan, table, tuple(files["uri"]), keys[key[0]], columns)
    told = [name for name in key if name in keys.columns]
    return rows if len(told) == 1 else rows.join(keys, on=told, how="semi")


def scan_table(lake: Lake, table: Table, uris: Sequence[str]) -> pl.LazyFrame:
    """Return the rows of files of a table, the column they are parted by among them. There must be one."""
    schema = polars_schema(table.schema)
    parted = {name: schema[name] for name in table.partitions}
    return pl.scan_parquet(
        list(uris),
        storage_options=dict(lake.storage_options),
        hive_partitioning=bool(parted),
        hive_schema=parted or None,
        schema={name: kind for name, kind in schema.items() if name not in parted},
        missing_columns="insert",  # a file may be older than a column
        extra_columns="ignore",
    )


def _rows_among(
    plan: Plan, table: Table, uris: Sequence[str], values: pl.Series, columns: Sequence[str]
) -> pl.DataFrame:
    """Read rows by the values of one column: pushed down, so that other columns are decoded for these rows only."""
    wanted = values.unique()
    if not uris or wanted.is_empty():
        schema = polars_schema(table.schema)
        return pl.DataFrame(schema={name: schema[name] for name in columns})
    among = pl.col(values.name).is_in(wanted.implode())
    return scan_table(plan.lake, table, uris).filter(among).select(columns).collect(engine="in-memory")
