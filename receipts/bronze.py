"""Bronze: every record as it was received, in an envelope. The gateway writes it, the pipeline reads it."""

from __future__ import annotations

import pyarrow as pa

from receipts.lake import LakeTable

# One row per distinct payload received. `payload` is the canonical JSON of an accepted record, or the text of a
# refused one with card numbers destroyed; `refusal` says why it was refused and is null for an accepted one.
# `sequence` orders the rows as they became durable; rows of one store are in the order they were sent.
ENVELOPE = pa.schema(
    [
        pa.field("record_key", pa.string()),  # receipt_id, customer_id or store_id; null when it could not be read
        pa.field("store_id", pa.int32()),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("received_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("payload_digest", pa.string(), nullable=False),  # SHA-256 of the payload, hex
        pa.field("payload", pa.string(), nullable=False),
        pa.field("refusal", pa.string()),
    ]
)
_STATISTICS = ("store_id", "sequence", "received_at")

RECEIPTS = LakeTable("bronze.receipts", ENVELOPE, _STATISTICS)
CUSTOMERS = LakeTable("bronze.customers", ENVELOPE, _STATISTICS)
STORES = LakeTable("bronze.stores", ENVELOPE, _STATISTICS)
TABLES = (RECEIPTS, CUSTOMERS, STORES)

# What a till names when it opens a stream, and the Bronze table its records end in.
STREAMS = {"retail.pos.receipts": RECEIPTS, "retail.crm.customers": CUSTOMERS, "retail.reference.stores": STORES}
