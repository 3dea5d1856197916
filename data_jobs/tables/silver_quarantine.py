"""Silver quarantine: what was received and could not be accepted, with the reason."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Table
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
    statistics=("store_id", "sequence", "received_at"),
)
