"""Events read from the commits into the event table, each once, however often the reader is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from data_jobs.catalogue import TABLES
from data_jobs.commits import cursor_of
from data_jobs.declaration import polars_schema
from data_jobs.events.rows import SCHEMA, Event, read_commit, to_arrow
from data_jobs.tables.events_pipeline import TABLE
from receipts.lake import Lake

_IDLE_VERSIONS = 100  # upkeep leaves commits without an event; from that many on they are put behind the cursor


@dataclass(frozen=True, slots=True)
class Pending:
    """Events that are not in the event table yet, and the versions of each table they were read up to."""

    events: tuple[Event, ...]
    read: tuple[tuple[str, int, int], ...]  # table, the cursor and the version that was read up to


def record_events(lake: Lake) -> int:
    """Append the events of new commits with the cursors in one commit; returns how many there were."""
    handle = lake.ensure(TABLE.lake_table)
    pending = find_pending(lake, handle)
    if not pending.events and all(upto - after < _IDLE_VERSIONS for _, after, upto in pending.read):
        return 0
    cursors = [Transaction(_application(name), upto) for name, _, upto in pending.read]
    properties = CommitProperties(app_transactions=cursors, max_commit_retries=3)  # compaction may come between
    try:
        write_deltalake(handle, to_arrow(pending.events), mode="append", commit_properties=properties)
    except CommitFailedError:  # another process read the same commits and was faster
        return 0
    return len(pending.events)


def find_pending(lake: Lake, handle: DeltaTable | None) -> Pending:
    """Read the commits behind the event table's cursors, oldest first. A version whose log is gone tells nothing."""
    events: list[Event] = []
    read: list[tuple[str, int, int]] = []
    for table in TABLES:
        if table is TABLE or not lake.exists(table.name):
            continue
        after = cursor_of(handle, _application(table.name)) if handle is not None else -1
        upto = lake.open(table.name).version()
        if upto > after:
            events += _read(lake, table.name, after, upto)
            read.append((table.name, after, upto))
    return Pending(tuple(sorted(events, key=lambda event: event.committed_at)), tuple(read))


def list_events(lake: Lake, table: str | None = None, last: int | None = None) -> list[Event]:
    """Return events, oldest first: those of the event table and those that are only in the commits so far."""
    handle = lake.open(TABLE.name) if lake.exists(TABLE.name) else None
    events = [Event.from_row(row) for row in _stored(lake, table, last).iter_rows(named=True)] if handle else []
    events += [event for event in find_pending(lake, handle).events if table in (None, event.table)]
    return sorted(events, key=lambda event: event.committed_at)[-last if last else 0 :]


def _stored(lake: Lake, table: str | None, last: int | None) -> pl.DataFrame:
    rows = pl.scan_delta(lake.uri(TABLE.name), storage_options=dict(lake.storage_options))
    if table is not None:
        rows = rows.filter(pl.col("table") == table)
    rows = rows.select(polars_schema(SCHEMA).names()).sort("committed_at")
    return (rows.tail(last) if last else rows).collect(engine="in-memory")


def _read(lake: Lake, name: str, after: int, upto: int) -> Iterator[Event]:
    for version in range(after + 1, upto + 1):
        event = read_commit(name, version, lake.read_commit(name, version) or ())
        if event is not None:
            yield event


def _application(name: str) -> str:
    return f"{TABLE.name} from {name}"
