"""Audit anchors: where the chains ended when they were copied, signed, each covering the one before."""

from __future__ import annotations

import pyarrow as pa

from data_jobs.declaration import Kind, Table

TABLE = Table(
    name="audit.anchors",
    grain="One row per copied batch of audit groups.",
    key=("number",),
    kind=Kind.FILLED,  # by data_jobs/trail/anchoring.py
    schema=pa.schema(
        [
            pa.field("number", pa.int64()),  # 1, 2, 3 ...
            pa.field("made_at", pa.timestamp("us", "UTC")),
            pa.field("position", pa.int64()),  # of the last group that is covered
            pa.field("key_id", pa.string()),
            pa.field("body", pa.string()),  # JSON: what is signed, with the heads of the chains that moved
            pa.field("digest", pa.string()),  # SHA-256 of the body, hex; the next anchor holds it
            pa.field("signature", pa.string()),  # Ed25519 over the body, hex
        ]
    ),
    clustered_by="number",
    statistics=("number", "made_at", "position"),
    append_only=True,
)
