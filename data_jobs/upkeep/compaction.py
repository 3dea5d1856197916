"""Small files made large, and files that overlap sorted apart: what a reader of few keys or days opens gets less.

Files are rewritten in groups of at most 64 MB, each in one commit that changes no data: no reader of changes sees it,
and appends to Bronze go on beside it. A batch that commits in between makes ours fail, which loses nothing.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from data_jobs.changes import PARTITION, list_files
from data_jobs.declaration import Table, polars_schema
from data_jobs.parts import Part, add_actions, remove_parts, write_parts
from data_jobs.upkeep.layout import choose_group, pieces
from data_jobs.upkeep.maintained import KEPT
from receipts.lake import Lake

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 1024**3  # of a table in one night: what is left waits for the next


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one commit rewrote."""

    table: str
    files_before: int
    files_after: int
    rows: int
    size_bytes: int  # read

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.files_before} files became {self.files_after} "
            f"({self.rows} rows, {self.size_bytes / 1e6:.1f} MB read)"
        )


def compact(
    lake: Lake, tables: Iterable[Table] = KEPT, *, thorough: bool, most_bytes: int = _MOST_BYTES
) -> Iterator[Compacted]:
    """Rewrite what pays, yielding after every commit; `thorough` also sorts overlapping files apart.

    Not thorough, a table is left alone until it has many small files: that is for between two rounds.
    """
    for table in tables:
        read_bytes = 0
        while read_bytes < most_bytes and (done := compact_next(lake, table, thorough=thorough)) is not None:
            read_bytes += done.size_bytes
            yield done


def compact_next(lake: Lake, table: Table, *, thorough: bool) -> Compacted | None:
    """Rewrite one group of files; none when nothing pays or somebody else committed over them."""
    if not lake.exists(table.name):
        return None
    handle = lake.open(table.name)
    group = choose_group(_listed(handle, table), thorough=thorough)
    if group is None:
        return None
    rows = read_group(lake, table, group)
    column = [table.clustered_by] if table.clustered_by is not None else []
    ordered = rows.sort([*column, *(name for name in table.key if name not in column)])
    each = -(-ordered.height // pieces(group)) or 1
    parts = [part for piece in ordered.iter_slices(each) for part in write_parts(lake, table, piece)]
    if not replace_files(handle, lake, table, group, parts, {"kind": "compaction"}):
        return None
    return Compacted(table.name, group.height, len(parts), rows.height, int(group["size_bytes"].sum()))


def read_group(lake: Lake, table: Table, group: pl.DataFrame) -> pl.DataFrame:
    """Return all rows of some files, with all columns that are declared: null where a file is older than one."""
    root, options = lake.uri(table.name), dict(lake.storage_options)
    frames = [pl.DataFrame(schema=polars_schema(table.schema))]
    for file in group.iter_rows(named=True):
        rows = pl.read_parquet(f"{root}/{unquote(file['path'])}", storage_options=options, hive_partitioning=False)
        if table.partitioned_by is not None:
            rows = rows.with_columns(pl.lit(file["partition"]).alias(table.partitioned_by))
        frames.append(rows)
    return pl.concat(frames, how="diagonal_relaxed")


def replace_files(
    handle: DeltaTable, lake: Lake, table: Table, group: pl.DataFrame, parts: list[Part], why: dict[str, object]
) -> bool:
    """Commit files in the place of others as the same data; says whether it could, and leaves nothing if not.

    `group` lists the files that go: path, size_bytes and, where the table has partitions, partition.
    """
    now_ms = int(time.time() * 1000)
    adds: list[AddAction | RemoveAction] = [
        replace(action, data_change=False) for action in add_actions(table, parts) if isinstance(action, AddAction)
    ]
    removes = [
        RemoveAction(
            path=file["path"],
            data_change=False,
            deletion_timestamp=now_ms,
            size=file["size_bytes"],
            partition_values={name: str(file["partition"]) for name in table.partitions},
        )
        for file in group.iter_rows(named=True)
    ]
    properties = CommitProperties(custom_metadata={"upkeep": json.dumps(why)}, max_commit_retries=3)
    partitions = list(table.partitions) or None
    try:
        handle.create_write_transaction(
            [*adds, *removes], "append", handle.schema(), partitions, commit_properties=properties
        )
    except CommitFailedError as error:
        _LOG.info("%s was changed meanwhile and is left as it is: %s", table.name, error)
        remove_parts(lake, table, parts)
        return False
    return True


def _listed(handle: DeltaTable, table: Table) -> pl.DataFrame:
    """Return path, size_bytes, partition, and lowest and highest of the column the table is sorted by."""
    files = list_files(handle)
    names = {
        "lowest": f"min.{table.clustered_by}",
        "highest": f"max.{table.clustered_by}",
        "partition": f"{PARTITION}{table.partitioned_by}",
    }
    found = {to: pl.col(name) if name in files.columns else pl.lit(None) for to, name in names.items()}
    return files.select("path", "size_bytes", **found)
