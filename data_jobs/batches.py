"""One micro-batch of one table: find what is new, have it refined, commit it once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_jobs.changes import PARTITION, ChangeRange, HistoryGone, committed_at, find_changes, list_files
from data_jobs.commits import Lineage, commit_files, commit_merge, cursor_of
from data_jobs.declaration import Kind, Table
from data_jobs.events.failures import record_failure
from data_jobs.expectations import find_failure
from data_jobs.parts import NEW, Part, remove_parts
from data_jobs.plans import Outcome, Plan
from data_jobs.upkeep.evolution import open_evolved
from data_jobs.upkeep.expiry import EXPIRED, part_expiries, still_kept
from receipts.errors import ReceiptsError
from receipts.lake import Lake

_BATCH_BYTES = 64 * 1024 * 1024  # of compressed input: what bounds a batch's memory
_FOLD_BYTES = 4 * _BATCH_BYTES  # a fold reads few columns, and what it costs is the keys it meets in each batch
_SLICE_BYTES = 2 * 1024 * 1024  # below it a second task costs more than it saves

Run = Callable[[Plan], Outcome]  # how slices are executed: `ray_work.run_slices`


class Overtaken(ReceiptsError):
    """Another process changed the table while a batch of it was under way: nothing came in twice, start it again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one micro-batch did. With an `error` nothing of it was committed: an expectation that must hold did not."""

    table: str
    source: str
    after: int
    upto: int
    rows_in: int
    rows_out: int
    quarantined: int
    took_ms: int
    error: str | None = None

    @property
    def figures(self) -> dict[str, int]:
        """Return how far it read and what it counted, by the names that traces know them by."""
        counted = {"upto": self.upto, "rows_in": self.rows_in, "rows_out": self.rows_out}
        return {f"receipts.{name}": value for name, value in (counted | {"quarantined": self.quarantined}).items()}

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.table} stays where it was, after version {self.after} of {self.source}: {self.error}"
        return (
            f"{self.table} read {self.source} up to version {self.upto}: {self.rows_in} rows in, {self.rows_out} out, "
            f"{self.quarantined} quarantined, {self.took_ms} ms"
        )


@dataclass(frozen=True, slots=True)
class _Sinks:
    """The handles a batch is committed through, opened before its input is read: rivals are found out by them."""

    main: DeltaTable
    quarantine: DeltaTable | None

    def cursors(self, application: str) -> list[int]:
        return [cursor_of(sink, application) for sink in (self.main, self.quarantine) if sink is not None]


def refine(lake: Lake, table: Table, run: Run, parallelism: int, head: int | None = None) -> Batch | None:
    """Commit the next micro-batch of a table, up to a `head` of its driving input; none when there is nothing new.

    A batch that was committed to one of two sinks only is finished first, with the same range. Raises Overtaken
    where a rival changed a sink since it was opened; the files that were written for it wait for the vacuum.
    """
    started = time.monotonic()
    source = table.source.name
    if not lake.exists(source):
        return None
    sinks = _open(lake, table)
    cursors = sinks.cursors(table.cursor)
    after, upto = min(cursors), max(cursors)
    if after == upto:
        upto = lake.newest_version(source, after) if head is None else head
    most_bytes = _FOLD_BYTES if table.kind is Kind.FOLDED else _BATCH_BYTES
    changes, expiring = part_expiries(lake, table, find_changes(lake, source, after, upto, most_bytes))
    if not changes.files:
        return None
    lookups = {lookup.name: lake.ensure(lookup.lake_table) for lookup in table.lookups}
    outcome = run(_plan(lake, table, sinks.main, changes, parallelism, lookups))
    if expiring:
        outcome.counts[EXPIRED] = outcome.counts["gone"]
    lineage = _lineage(lake, table, changes, outcome, lookups, started)
    failure = find_failure(table.expectations, outcome.caught)
    if failure is None:
        try:
            _commit(lake, table, sinks, outcome, lineage)
        except CommitFailedError as error:
            raise Overtaken(f"{Overtaken.__doc__} It was {table.name}.") from error
    else:
        _discard(lake, table, outcome)
        record_failure(lake, table.name, failure, lineage)
    counts = outcome.counts
    took_ms = round((time.monotonic() - started) * 1000)
    figures = (counts["rows_in"], counts["rows_out"], counts["quarantined"])
    return Batch(table.name, source, changes.after, changes.upto, *figures, took_ms, failure)


def is_half_committed(lake: Lake, table: Table) -> bool:
    """Say whether a batch reached one of the table's two sinks only."""
    return table.quarantine is not None and len(set(_open(lake, table).cursors(table.cursor))) > 1


def _open(lake: Lake, table: Table) -> _Sinks:
    quarantine = open_evolved(lake, table.quarantine.lake_table) if table.quarantine is not None else None
    return _Sinks(open_evolved(lake, table.lake_table), quarantine)


def _plan(
    lake: Lake,
    table: Table,
    handle: DeltaTable,
    changes: ChangeRange,
    parallelism: int,
    lookups: Mapping[str, DeltaTable],
) -> Plan:
    # A fold that cannot be inverted sums up anew what lost a row, which nothing does where rows were only added.
    lost = table.fold is not None and not table.fold.invertible and any(f.change != "insert" for f in changes.files)
    looks_back = table.link is not None or lost
    return Plan(
        table=table.name,
        lake=lake,
        changes=changes.files,
        slices=max(1, min(parallelism, changes.size_bytes // _SLICE_BYTES)) if table.slice_by else 1,
        lookups={name: _whole(lookup) for name, lookup in lookups.items()},
        # As of the last of the changes, not as of now: what comes after it is in the next batch.
        snapshot=_snapshot(lake, table, changes.upto) if looks_back else pl.DataFrame({"uri": ()}),
        existing=_files(lake, table, handle),
        expectations=still_kept(table, handle),
    )


def _whole(handle: DeltaTable) -> pl.DataFrame:
    rows = pl.from_arrow(handle.to_pyarrow_table())
    assert isinstance(rows, pl.DataFrame)
    return rows


def _snapshot(lake: Lake, table: Table, version: int) -> pl.DataFrame:
    assert isinstance(table.source, Table), f"{table.name} looks back at a table that is not refined"
    return _files(lake, table.source, lake.open(table.source.name, version))


def _files(lake: Lake, table: Table, handle: DeltaTable) -> pl.DataFrame:
    """Return the files of a table: uri, partition, lowest and highest of its `clustered_by` column."""
    files = list_files(handle)
    found = {"partition": f"{PARTITION}{table.partitioned_by}"}
    found |= {name: f"{bound}.{table.clustered_by}" for name, bound in (("lowest", "min"), ("highest", "max"))}
    columns = {name: pl.col(column) if column in files.columns else pl.lit(None) for name, column in found.items()}
    return files.select(uri=pl.lit(f"{lake.uri(table.name)}/") + pl.col("path"), **columns)


def _lineage(
    lake: Lake,
    table: Table,
    changes: ChangeRange,
    outcome: Outcome,
    lookups: Mapping[str, DeltaTable],
    started: float,
) -> Lineage:
    return Lineage(
        run=uuid.uuid4().hex,
        cursor=table.cursor,
        source=table.source.name,
        after=changes.after,
        upto=changes.upto,
        counts=outcome.counts,
        expectations=outcome.caught,
        lookups={name: handle.version() for name, handle in lookups.items()},
        files=len(changes.files),
        started=started,
        newest=_committed_at(lake, table.source.name, changes.upto),
    )


def _committed_at(lake: Lake, name: str, version: int) -> datetime | None:
    try:
        return committed_at(lake, name, version)
    except HistoryGone:  # a table that rested for longer than its log is kept
        return None


def _discard(lake: Lake, table: Table, outcome: Outcome) -> None:
    """Delete what the tasks of a batch wrote that will not be committed."""
    for sink in (table, table.quarantine):
        if sink is not None:
            remove_parts(lake, sink, [part for part in outcome.parts if part.table == sink.name])


def _commit(lake: Lake, table: Table, sinks: _Sinks, outcome: Outcome, lineage: Lineage) -> None:
    """Commit to the quarantine, then to the table; a sink that has the range already is left alone."""
    own = [part for part in outcome.parts if part.table == table.name]
    if (
        sinks.quarantine is not None
        and table.quarantine is not None
        and cursor_of(sinks.quarantine, table.cursor) < lineage.upto
    ):
        refused = [part for part in outcome.parts if part.table != table.name]
        commit_files(sinks.quarantine, table.quarantine, refused, lineage.of_refused())
    if cursor_of(sinks.main, table.cursor) < lineage.upto:
        _commit_own(lake, table, sinks.main, own, lineage)


def _commit_own(lake: Lake, table: Table, handle: DeltaTable, parts: Sequence[Part], lineage: Lineage) -> None:
    """Commit files where all rows are new, else merge.

    Of a large batch only what changes is merged, in a commit before the one that adds what is new and moves the
    cursor. A run that is killed in between merges the same rows again, which changes nothing; a sum would be added
    twice, so a fold is merged whole.
    """
    new, merged = ([part for part in parts if (part.content == NEW) is which] for which in (True, False))
    if not merged:
        commit_files(handle, table, new, lineage)
    elif new and table.kind is not Kind.FOLDED:
        commit_merge(handle, lake, table, merged, lineage.of_part())
        commit_files(handle, table, new, lineage)
    else:
        commit_merge(handle, lake, table, [*new, *merged], lineage)
