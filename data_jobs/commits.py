"""One commit per table and batch: files or a merge, with how far the input was read and where the rows came from."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction

from data_jobs.changes import NEVER
from data_jobs.declaration import Kind, Table
from data_jobs.parts import GONE, Part, add_actions, read_parts, remove_parts
from receipts.lake import Lake

_GONE = "_gone"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the rows of a commit came from; stands in the commit itself, so that `history()` tells it.

    All that is told of a batch elsewhere (the event table, OpenLineage) is read from here.
    """

    run: str
    cursor: str | None  # the application whose transaction is the version read up to; none while there is more to come
    source: str
    after: int
    upto: int
    counts: Mapping[str, int]
    expectations: Mapping[str, int]
    lookups: Mapping[str, int] = field(default_factory=dict)  # the version read of each
    files: int = 0  # with changes that were read
    started: float | None = None  # by the monotonic clock
    newest: datetime | None = None  # when the last version read was committed

    def of_refused(self) -> Lineage:
        """Return what the quarantine's commit of the same batch tells: how many came to it, nothing where none did."""
        refused = self.counts.get("quarantined", 0)
        counts = {"rows_in": self.counts.get("rows_in", 0), "rows_out": refused} if refused else {}
        return replace(self, counts=counts, expectations={})

    def of_part(self) -> Lineage:
        """Return what a commit tells that another one follows: it moves no cursor, and its rows are counted there."""
        return replace(self, cursor=None, counts={}, expectations={})

    def told(self) -> dict[str, Any]:
        """Return what the commit says, as plain values; durations are taken now."""
        versions = [{"table": name, "from": None, "to": version} for name, version in self.lookups.items()]
        told: dict[str, Any] = {
            "run": self.run,
            "inputs": [{"table": self.source, "from": self.after + 1, "to": self.upto}, *versions],
            "counts": dict(self.counts),
            "expectations": dict(self.expectations),
            "files": self.files,
        }
        if self.started is not None:
            told["took_ms"] = round((time.monotonic() - self.started) * 1000)
        if self.newest is not None:
            told["lag_ms"] = round((datetime.now(UTC) - self.newest).total_seconds() * 1000)
        return told

    def properties(self) -> CommitProperties:
        """Return what the commit carries. A rival that commits this application's transaction makes ours fail."""
        return CommitProperties(
            app_transactions=[Transaction(self.cursor, self.upto)] if self.cursor is not None else None,
            custom_metadata={"lineage": json.dumps(self.told())},
            max_commit_retries=3,  # maintenance may commit in between; rivals for the same cursor are never retried
        )


def cursor_of(handle: DeltaTable, application: str) -> int:
    """Return the version up to which a table has read its driving input, or -1."""
    version = handle.transaction_version(application)
    return NEVER if version is None else version


def commit_files(handle: DeltaTable, table: Table, parts: Sequence[Part], lineage: Lineage) -> None:
    """Add files to the table whose handle the cursor was read through."""
    handle.create_write_transaction(
        add_actions(table, parts),
        "append",
        handle.schema(),
        partition_by=list(table.partitions) or None,
        commit_properties=lineage.properties(),
    )


def commit_merge(
    handle: DeltaTable, lake: Lake, table: Table, parts: Sequence[Part], lineage: Lineage
) -> dict[str, Any]:
    """Merge rows over those of the same key and delete keys that are gone; returns Delta's own figures.

    A table of versions takes a row only over an older one. Deleting by merge keeps keys out of the log.
    """
    rows = read_parts(lake, table, [part for part in parts if part.content != GONE])
    gone = read_parts(lake, table, [part for part in parts if part.content == GONE])
    marked = [rows.with_columns(pl.lit(value=False).alias(_GONE)), gone.with_columns(pl.lit(value=True).alias(_GONE))]
    source = pl.concat(marked).to_arrow()
    columns = {name: f"s.{name}" for name in table.schema.names}
    merge = (
        handle.merge(
            source,
            _matching(table, pl.concat([rows, gone])),
            source_alias="s",
            target_alias="t",
            commit_properties=lineage.properties(),
        )
        .when_matched_delete(f"s.{_GONE}")
        .when_matched_update(columns, predicate=_newer(table))
        .when_not_matched_insert(columns, predicate=f"not s.{_GONE}")
    )
    figures = merge.execute()
    if (
        lineage.cursor is not None and cursor_of(handle, lineage.cursor) < lineage.upto
    ):  # a merge that changes nothing commits nothing
        commit_files(handle, table, [], lineage)
    remove_parts(lake, table, parts)
    return figures


def _matching(table: Table, rows: pl.DataFrame) -> str:
    """Compare keys, within the literal partitions or range that let Delta skip files."""
    terms = [f"t.{name} = s.{name}" for name in table.key]
    if table.partitioned_by is not None:
        values = ", ".join(f"'{value}'" for value in rows[table.partitioned_by].unique().sort())
        terms.append(f"t.{table.partitioned_by} in ({values})")
    elif table.clustered_by is not None:
        low, high = rows[table.clustered_by].min(), rows[table.clustered_by].max()
        terms.append(f"t.{table.clustered_by} between '{low}' and '{high}'")
    return " and ".join(terms)


def _newer(table: Table) -> str | None:
    """Return the condition that the arriving version is not older, comparing `sequence` column by column."""
    if table.kind is not Kind.LATEST:
        return None
    condition = ""
    for name in reversed(table.sequence):
        condition = (
            f"(s.{name} > t.{name} or (s.{name} = t.{name} and {condition}))" if condition else f"s.{name} >= t.{name}"
        )
    return condition
