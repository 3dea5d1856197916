"""Audit groups: the chained evidence of who saw what, as replicas made it durable, outside Postgres."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Personal, Table

TABLE = Table(
    name="audit.groups",
    grain="One row per group of audit events that became durable together.",
    key=("chain", "seq"),
    kind=Kind.FILLED,  # from audit.spool, by data_jobs/trail/copying.py
    schema=pa.schema(
        [
            pa.field("month", pa.date32()),  # of the chain's day: a month of the trail goes as a whole
            pa.field("position", pa.int64()),  # the order in which groups were taken apart, as in audit.projections
            pa.field("chain", pa.int64()),
            pa.field("seq", pa.int64()),
            pa.field("recorded_at", pa.timestamp("us", "UTC")),
            pa.field("previous", pa.binary()),
            pa.field("digest", pa.binary()),  # SHA-256 of `previous` and `payload`
            pa.field("payload", pa.string()),  # a JSON array of events
            pa.field("events", pa.int32()),
        ]
    ),
    clustered_by="chain",
    partitioned_by="month",
    statistics=("position", "chain", "seq", "recorded_at"),
    personal=Personal.PSEUDONYMOUS,
    append_only=True,
)
