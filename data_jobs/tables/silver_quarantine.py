"""Silver quarantine: what was received and could not be accepted, with the reason."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Personal, Retention, Table
from receipts.bronze import ENVELOPE

TABLE = Table(
    name="silver.quarantine",
    grain="One row per Bronze row that was refused.",
    key=("bronze_table", "sequence"),
    kind=Kind.FILLED,
    schema=pa.schema(
        [
            *ENVELOPE,
            pa.field("bronze_table", pa.string()),
            pa.field("expectation", pa.string()),  # the one that was broken first
            pa.field("reason", pa.string()),  # in words
        ]
    ),
    personal=Personal.CONTACT,
    retention=Retention("received_at", 180),  # long enough to repair a record, too short to be an archive
    statistics=("store_id", "sequence", "received_at"),
)
