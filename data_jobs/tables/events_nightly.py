"""Nightly events: which job of the upkeep ran in which night, and how it ended."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Retention, Table

TABLE = Table(
    name="events.nightly",
    grain="One row per attempt at a nightly job.",
    key=("job", "started_at"),
    kind=Kind.FILLED,  # by data_jobs/upkeep/nightly.py
    schema=pa.schema(
        [
            pa.field("job", pa.string()),
            pa.field("night", pa.date32()),  # the day in UTC on which it was due
            pa.field("started_at", pa.timestamp("us", "UTC")),
            pa.field("ended_at", pa.timestamp("us", "UTC")),
            pa.field("steps", pa.int64()),  # commits, removals: what the log told of
            pa.field("error", pa.string()),  # null for one that was done
        ]
    ),
    retention=Retention("ended_at", 365),
    statistics=("ended_at",),
)
