"""Batches that failed: they leave no commit to read, so they are told at once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import polars as pl
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from data_jobs.commits import Lineage
from data_jobs.events.rows import Event, to_arrow
from data_jobs.tables.events_pipeline import TABLE
from receipts.lake import Lake
from receipts.logs import described

_LOG = logging.getLogger(__name__)
_AGAIN = timedelta(hours=1)  # a batch is tried again every few seconds; the same failure is told once in this time


@contextmanager
def recording_failures(lake: Lake, table: str) -> Generator[None]:
    """Record what ends the block before it ends it."""
    try:
        yield
    except Exception as error:
        record_failure(lake, table, f"{type(error).__name__}: {error}")
        raise


def record_failure(lake: Lake, table: str, error: str, lineage: Lineage | None = None) -> None:
    """Append the event of a batch that was not committed, unless the same was told just now.

    A lake that cannot be written to is only logged: the failure itself matters more.
    """
    now = datetime.now(UTC)
    if lineage is None:
        event = Event(table, uuid.uuid4().hex, None, now, (), {}, {}, error=error)
    else:
        event = Event.from_lineage(table, lineage.told(), now, error=error)
    try:
        handle = lake.ensure(TABLE.lake_table)
        if not _was_told(lake, event):
            write_deltalake(handle, to_arrow([event]), mode="append")
    except (DeltaError, OSError) as problem:
        _LOG.warning("The failure of a batch of %s could not be recorded: %s", table, described(problem))


def _was_told(lake: Lake, event: Event) -> bool:
    since = event.committed_at - _AGAIN
    rows = pl.scan_delta(lake.uri(TABLE.name), storage_options=dict(lake.storage_options)).filter(
        pl.col("committed_at") > since, pl.col("table") == event.table, pl.col("error") == event.error
    )
    return not rows.head(1).collect(engine="in-memory").is_empty()
