"""Audit events: who saw what, when, from where and why, taken out of the groups for searches over years."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Personal, Table

TABLE = Table(
    name="audit.events",
    grain="One row per answer that left, or was refused.",
    key=("chain", "seq", "place"),
    kind=Kind.FILLED,  # from audit.groups, by data_jobs/trail/copying.py
    schema=pa.schema(
        [
            pa.field("month", pa.date32()),  # of the chain's day
            pa.field("position", pa.int64()),  # of its group
            pa.field("chain", pa.int64()),
            pa.field("seq", pa.int64()),
            pa.field("place", pa.int32()),  # in its group, from 1
            pa.field("event_id", pa.string()),  # as in Postgres
            pa.field("occurred_at", pa.timestamp("us", "UTC")),
            pa.field("principal_id", pa.string()),
            pa.field("role", pa.string()),
            pa.field("session_id", pa.string()),
            pa.field("route", pa.string()),
            pa.field("outcome", pa.string()),
            pa.field("status", pa.int16()),
            pa.field("receipt_ids", pa.list_(pa.string())),
            pa.field("customer_ids", pa.list_(pa.string())),
            pa.field("purpose", pa.string()),
            pa.field("constraints", pa.string()),
            pa.field("client_address", pa.string()),
            pa.field("request_id", pa.string()),
        ]
    ),
    clustered_by="chain",
    partitioned_by="month",
    statistics=("position", "chain", "occurred_at"),
    personal=Personal.PSEUDONYMOUS,
    append_only=True,
)
