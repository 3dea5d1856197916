"""Parquet files that tasks write into a Delta table and the driver commits."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction

from data_jobs.declaration import Table, polars_schema
from receipts.lake import Lake


@dataclass(frozen=True, slots=True)
class Part:
    """One file: in which table, what of, and what the Delta log is to say of it."""

    table: str
    content: str
    path: str
    size_bytes: int
    rows: int
    statistics: str
    partition: str = ""


NEW = "new"  # rows under keys that the table does not hold
CHANGED = "changed"  # rows over such as it holds
GONE = "gone"  # keys that go from it


def write_parts(lake: Lake, table: Table, frame: pl.DataFrame, content: str = NEW) -> list[Part]:
    """Write rows of a table, or keys that are gone from it, as files in the table's folder.

    That is one file, none for no rows, or one for each partition that new rows are in. The files are no part of the
    table until they are committed. Raises SchemaError when a column is missing or cannot take its declared type: Delta
    itself would accept the file and fail on reading.
    """
    if frame.is_empty():
        return []
    schema = polars_schema(table.schema)
    names = table.places if content == GONE else schema.names()
    fitted = frame.select(pl.col(name).cast(schema[name]) for name in names)
    if content != NEW or table.partitioned_by is None:
        return [_write(lake, table, fitted, content, "")]
    parted = fitted.partition_by(table.partitioned_by, as_dict=True, include_key=False)
    return [_write(lake, table, rows, content, str(value)) for (value,), rows in sorted(parted.items())]


def write_part(lake: Lake, table: Table, frame: pl.DataFrame) -> Part:
    """Write new rows of a table that has no partitions as one file."""
    (part,) = write_parts(lake, table, frame)
    return part


def _write(lake: Lake, table: Table, rows: pl.DataFrame, content: str, partition: str) -> Part:
    folder = f"{table.partitioned_by}={partition}/" if partition else ""
    path = f"{folder}part-{uuid.uuid4().hex}.zstd.parquet"
    root, options = lake.uri(table.name), dict(lake.storage_options)
    rows.write_parquet(
        f"{root}/{path}", compression="zstd", compression_level=1, storage_options=options, mkdir=bool(folder)
    )
    size = DeltaStorageHandler(root, options).get_file_info([path])[0].size
    listed = [name for name in table.statistics if name in rows.columns]
    statistics = _statistics(rows, listed) if content == NEW else ""
    return Part(table.name, content, path, size or 0, rows.height, statistics, partition)


def read_parts(lake: Lake, table: Table, parts: Sequence[Part]) -> pl.DataFrame:
    """Return the rows of parts, with all columns of the table; there may be none."""
    frames = [pl.DataFrame(schema=polars_schema(table.schema))]
    for part in parts:
        uri, options = f"{lake.uri(table.name)}/{part.path}", dict(lake.storage_options)
        rows = pl.scan_parquet(uri, storage_options=options, hive_partitioning=False)
        if part.partition:
            rows = rows.with_columns(pl.lit(date.fromisoformat(part.partition)).alias(str(table.partitioned_by)))
        frames.append(rows.collect(engine="in-memory"))
    return pl.concat(frames, how="diagonal")


def remove_parts(lake: Lake, table: Table, parts: Sequence[Part]) -> None:
    """Delete parts whose rows were merged instead of committed as files; vacuum takes what a kill leaves."""
    store = DeltaStorageHandler(lake.uri(table.name), dict(lake.storage_options))
    for part in parts:
        store.delete_file(part.path)


def add_actions(table: Table, parts: Sequence[Part]) -> list[AddAction | RemoveAction]:
    """Return what the Delta log says of new files."""
    now_ms = int(time.time() * 1000)
    return [
        AddAction(part.path, part.size_bytes, _values(table, part), now_ms, True, part.statistics)  # noqa: FBT003  the log's dataChange
        for part in parts
    ]


def _values(table: Table, part: Part) -> dict[str, str | None]:
    return dict.fromkeys(table.partitions, part.partition)


def _statistics(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    lowest, highest = (
        frame.select(pl.col(c).min() for c in columns),
        frame.select(pl.col(c).max() for c in columns),
    )
    return json.dumps(
        {
            "numRecords": frame.height,
            "minValues": _plain(lowest),
            "maxValues": _plain(highest),
            "nullCount": {name: frame[name].null_count() for name in columns},
        }
    )


def _plain(row: pl.DataFrame) -> Mapping[str, object]:
    values = row.row(0, named=True) if row.width else {}
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> object:
    """Render as the Delta log does: instants in UTC with their fraction, days as ISO 8601."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value
