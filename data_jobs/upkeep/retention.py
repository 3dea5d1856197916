"""Rows older than their table's retention go: oldest first, some at a time, each once.

From a refined table they go by a merge, so that everybody who follows it hears of them (`expiry.py` tells how), and by
key and not by predicate, because a predicate would stand in the log. Bronze is rewritten without them: its followers
have long refined them, and a deletion is nothing that happened at a till.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction

from data_jobs.changes import find_changes, list_files
from data_jobs.commits import Lineage, cursor_of
from data_jobs.declaration import Kind, Retention, Table
from data_jobs.parts import write_parts
from data_jobs.upkeep.compaction import read_group, replace_files
from data_jobs.upkeep.expiry import APPLICATION, EXPIRED
from data_jobs.upkeep.maintained import BRONZE, KEPT
from data_jobs.upkeep.versions import committed_at
from receipts.errors import ReceiptsError
from receipts.lake import Lake

GRACE_DAYS = 7  # after its time: nothing is under way any more that was received before it
_LONGEST_LAG = timedelta(days=1)  # of refinement: what waits in Bronze was received within the grace
_COMMIT_ROWS = 100_000
_MOST_ROWS = 2_000_000  # of a table in one night: what is left waits for the next


class RefinementBehind(ReceiptsError):
    """Rows expire only where refinement is up to date; what waits could bring them back."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What one commit took away."""

    table: str
    before: date
    rows: int

    def __str__(self) -> str:
        return f"{self.table}: {self.rows} rows from before {self.before} expired"


def retain(
    lake: Lake, today: date, tables: Iterable[Table] = KEPT, *, commit_rows: int = _COMMIT_ROWS
) -> Iterator[Expired]:
    """Remove expired rows, yielding after every commit. Raises RefinementBehind."""
    for table in tables:
        gone = 0
        while gone < _MOST_ROWS and (done := expire_next(lake, table, today, commit_rows)) is not None:
            gone += done.rows
            yield done


def expire_next(lake: Lake, table: Table, today: date, commit_rows: int = _COMMIT_ROWS) -> Expired | None:
    """Remove the oldest expired rows of a table in one commit; none when there are none."""
    kept = table.retention
    if kept is None or not lake.exists(table.name):
        return None
    before = today - timedelta(days=kept.days + GRACE_DAYS)
    handle = lake.open(table.name)
    files = _files_from_before(handle, table, kept, before)
    if files.is_empty():
        return None
    expired = (pl.col(kept.column) < _instant(table, kept, before)).fill_null(value=False)
    if table in BRONZE:
        rows = _rewrite_without(handle, lake, table, files, expired)
    else:
        _check_lag(lake, table, handle)
        rows = _delete(handle, table, before, _oldest(lake, table, files, expired, commit_rows))
    return Expired(table.name, before, rows) if rows else None


def _files_from_before(handle: DeltaTable, table: Table, kept: Retention, before: date) -> pl.DataFrame:
    """Return the files that may hold expired rows, those with the oldest first."""
    files = list_files(handle)
    column = f"min.{kept.column}"
    lowest = pl.col(column) if column in files.columns else pl.lit(None)
    partition = f"partition.{table.partitioned_by}"
    told = pl.col(partition) if partition in files.columns else pl.lit(None)
    listed = files.select("path", "size_bytes", partition=told, lowest=lowest).sort("lowest", "path")
    return listed.filter((pl.col("lowest") < _instant(table, kept, before)).fill_null(value=True))


def _instant(table: Table, kept: Retention, before: date) -> date | datetime:
    """Return the limit as what the column holds: a day, or the instant in UTC at which one begins."""
    is_day = pa.types.is_date(table.schema.field(kept.column).type)
    return before if is_day else datetime.combine(before, time(), UTC)


def _rewrite_without(handle: DeltaTable, lake: Lake, table: Table, files: pl.DataFrame, expired: pl.Expr) -> int:
    """Write one file anew without its expired rows; a writer that comes in between puts it off to the next night."""
    for number in range(files.height):
        group = files.slice(number, 1)
        rows = read_group(lake, table, group)
        rest = rows.filter(~expired)
        gone = rows.height - rest.height
        if gone:
            why: dict[str, object] = {"kind": "retention", "rows": gone}
            return gone if replace_files(handle, lake, table, group, write_parts(lake, table, rest), why) else 0
    return 0


def _oldest(lake: Lake, table: Table, files: pl.DataFrame, expired: pl.Expr, most: int) -> pl.DataFrame:
    """Return the places of the oldest expired rows and how old they are, reading no more files than it takes."""
    assert table.retention is not None, f"{table.name} keeps its rows for ever"
    column, found = table.retention.column, list[pl.DataFrame]()
    for number in range(files.height):
        rows = read_group(lake, table, files.slice(number, 1)).filter(expired)
        found.append(rows.select(list(dict.fromkeys([*table.places, column]))))
        if sum(frame.height for frame in found) >= most:
            break
    return pl.concat(found).sort(column).head(most)


def _delete(handle: DeltaTable, table: Table, before: date, keys: pl.DataFrame) -> int:
    """Delete by key, within the literal range that lets Delta skip younger files.

    The commit remembers the day: rows from before it do not come back.
    """
    if keys.is_empty():
        return 0
    assert table.retention is not None, f"{table.name} keeps its rows for ever"
    column = table.retention.column
    terms = [f"t.{name} = s.{name}" for name in table.places]
    terms += [f"t.{column} >= '{keys[column].min()}'", f"t.{column} <= '{keys[column].max()}'"]
    version = handle.version()
    counts = {"gone": keys.height, EXPIRED: keys.height}
    lineage = Lineage(uuid.uuid4().hex, None, table.name, version - 1, version, counts, {})
    merge = handle.merge(
        keys.to_arrow(),
        " and ".join(terms),
        source_alias="s",
        target_alias="t",
        commit_properties=CommitProperties(
            app_transactions=[Transaction(APPLICATION, before.toordinal())],
            custom_metadata={"lineage": json.dumps(lineage.told())},
            max_commit_retries=3,
        ),
    )
    merge.when_matched_delete().execute()
    return keys.height


def _check_lag(lake: Lake, table: Table, handle: DeltaTable) -> None:
    """Refuse while something waits for so long that it may be a version of a row that expires."""
    if table.kind is Kind.FILLED:
        return
    source, cursor = table.source.name, cursor_of(handle, table.cursor)
    if table.quarantine is not None and cursor_of(lake.ensure(table.quarantine.lake_table), table.cursor) != cursor:
        raise RefinementBehind(f"A batch of {table.name} was cut off; its rows expire when that is finished.")
    waiting = find_changes(lake, source, cursor, lake.open(source).version(), 1).files
    since = committed_at(lake, source, waiting[0].version) if waiting else None
    if since is not None and since < datetime.now(UTC) - _LONGEST_LAG:
        raise RefinementBehind(
            f"{table.name} has not read what {source} holds since {since:%Y-%m-%d %H:%M} UTC; "
            "its rows expire when it has."
        )
