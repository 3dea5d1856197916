"""Pipeline events: what each batch of each table did, one row to ask instead of a log to read."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Retention, Table

_INPUT = pa.struct(
    [
        pa.field("table", pa.string()),
        pa.field("from_version", pa.int64()),  # null for a lookup, which is read whole
        pa.field("to_version", pa.int64()),
    ]
)
_CAUGHT = pa.struct([pa.field("expectation", pa.string()), pa.field("rows", pa.int64())])

TABLE = Table(
    name="events.pipeline",
    grain="One row per commit of a batch to a table, and one per batch that failed.",
    key=("table", "run"),
    kind=Kind.FILLED,  # from the commits, by data_jobs/events
    schema=pa.schema(
        [
            pa.field("table", pa.string()),
            pa.field("run", pa.string()),  # the batch; its quarantined rows are committed under the same
            pa.field("version", pa.int64()),  # what the commit made; null for a batch that failed
            pa.field("committed_at", pa.timestamp("us", "UTC")),  # or failed
            pa.field("inputs", pa.list_(_INPUT)),  # the driving one first
            pa.field("rows_in", pa.int64()),
            pa.field("rows_out", pa.int64()),
            pa.field("changed", pa.int64()),  # of those that went out
            pa.field("gone", pa.int64()),
            pa.field("repeated", pa.int64()),
            pa.field("quarantined", pa.int64()),
            pa.field("judged", pa.int64()),  # held against the expectations; less those caught they passed
            pa.field("caught", pa.list_(_CAUGHT)),
            pa.field("files_in", pa.int64()),
            pa.field("files_out", pa.int64()),
            pa.field("bytes_out", pa.int64()),
            pa.field("took_ms", pa.int64()),
            pa.field("lag_ms", pa.int64()),  # age of the newest version read when it was committed
            pa.field("error", pa.string()),
        ]
    ),
    retention=Retention("committed_at", 90),
    statistics=("committed_at",),
)
