"""Groups of the audit trail as the lake holds them: how far, and which ones, from no more files than that takes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_jobs.changes import PARTITION, list_files
from data_jobs.commits import Lineage, commit_files, cursor_of
from data_jobs.declaration import Table, polars_schema
from data_jobs.parts import write_parts
from data_jobs.tables import audit_groups
from data_jobs.upkeep.evolution import open_evolved
from receipts.errors import ReceiptsError
from receipts.lake import Lake

GROUPS = audit_groups.TABLE
_SPOOL = "audit.projections"  # what positions count


class CopiedElsewhere(ReceiptsError):
    """Two processes copy the audit trail at once; the other one was faster."""

    def __init__(self, table: str) -> None:
        super().__init__(f"{table} was added to by another process; only one copies the audit trail at a time.")


def position_of(handle: DeltaTable, table: Table) -> int:
    """Return the position up to which a table of the trail holds the groups; 0 for none of them."""
    return max(cursor_of(handle, _application(table)), 0)


def read_position(lake: Lake, table: Table) -> int:
    """Return how far a table of the trail is; 0 where there is none yet."""
    return position_of(lake.open(table.name), table) if lake.exists(table.name) else 0


def append(lake: Lake, table: Table, rows: pl.DataFrame, after: int, upto: int) -> None:
    """Add what was made of the groups (after, upto], and that they were, in one commit.

    Raises CopiedElsewhere when another process has added them meanwhile: nothing is there twice.
    """
    handle = open_evolved(lake, table.lake_table)
    if position_of(handle, table) != after:
        raise CopiedElsewhere(table.name)
    counts = {"rows_in": rows.height, "rows_out": rows.height}
    lineage = Lineage(uuid.uuid4().hex, _application(table), _source(table), after, upto, counts, {})
    parts = write_parts(lake, table, rows)
    try:
        commit_files(handle, table, parts, lineage)
    except CommitFailedError as error:
        raise CopiedElsewhere(table.name) from error
    handle = lake.open(table.name)
    version = handle.version()
    lake.make_durable(table.name, version, lake.read_commit(table.name, version) or ())


def read_rows(
    lake: Lake, table: Table, where: pl.Expr, limits: Sequence[tuple[str, int, int]], columns: Sequence[str]
) -> pl.DataFrame:
    """Return rows of a table of the trail, from files whose column may lie within each limit (column, low, high)."""
    frames = [pl.DataFrame(schema={name: polars_schema(table.schema)[name] for name in columns})]
    if lake.exists(table.name):
        for uri, month in files_within(lake, table, limits):
            rows = pl.scan_parquet(uri, storage_options=dict(lake.storage_options), hive_partitioning=False)
            if month is not None:
                rows = rows.with_columns(pl.lit(month).alias("month"))
            frames.append(rows.filter(where).select(columns).collect(engine="in-memory"))
    return pl.concat(frames, how="vertical")


def files_within(lake: Lake, table: Table, limits: Sequence[tuple[str, int, int]] = ()) -> list[tuple[str, object]]:
    """Return address and month of the files that may hold rows within the limits, in the order of what they hold."""
    files = list_files(lake.open(table.name))
    for column, low, high in limits:
        if f"min.{column}" in files.columns:
            inside = (pl.col(f"max.{column}") >= low) & (pl.col(f"min.{column}") <= high)
            files = files.filter(inside.fill_null(value=True))
    month = f"{PARTITION}month"
    if month not in files.columns:
        files = files.with_columns(pl.lit(None).alias(month))
    if f"min.{table.clustered_by}" in files.columns:
        files = files.sort(f"min.{table.clustered_by}", "path")
    root = lake.uri(table.name)
    return [(f"{root}/{unquote(path)}", value) for path, value in files.select("path", month).iter_rows()]


def highest(lake: Lake, table: Table, column: str) -> int:
    """Return the highest value of a column as the log tells it; 0 where there is none."""
    if not lake.exists(table.name):
        return 0
    files = list_files(lake.open(table.name))
    found = files[f"max.{column}"].max() if f"max.{column}" in files.columns else None
    return found if isinstance(found, int) else 0


def next_groups(lake: Lake, after: int, most: int, columns: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Return the groups after a position, in order, about as many as `most`, and the position they reach up to."""
    reached = read_position(lake, GROUPS)
    upto = min(reached, after + most)
    rows = pl.DataFrame()
    while after < upto:
        where = (pl.col("position") > after) & (pl.col("position") <= upto)
        rows = read_rows(lake, GROUPS, where, [("position", after + 1, upto)], columns)
        if rows.height or upto == reached:
            break
        upto = min(reached, upto + (upto - after) * 8)  # positions leave gaps where a transaction failed
    return rows, upto


def _application(table: Table) -> str:
    return f"{table.name} from {_SPOOL}"


def _source(table: Table) -> str:
    return _SPOOL if table is GROUPS else GROUPS.name
