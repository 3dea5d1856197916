"""Silver stores: where each shop is and when its day begins."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.bronze_payloads import decode
from data_jobs.declaration import ROW, Action, Expectation, Kind, Table
from data_jobs.tables import silver_quarantine
from receipts.bronze import STORES

_PAYLOAD = pl.Struct({"store_id": pl.Int32, "name": pl.String, "region_id": pl.Int16, "time_zone": pl.String})


def _stores(rows: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Parse Bronze envelopes of stores."""
    envelope = rows.select(ROW, "record_key", "received_at", "sequence", "payload_digest", "payload")
    return pl.concat([envelope, decode(rows["payload"], _PAYLOAD)], how="horizontal")


TABLE = Table(
    name="silver.stores",
    grain="One row per store: the version received last.",
    key=("store_id",),
    kind=Kind.LATEST,
    schema=pa.schema(
        [
            pa.field("store_id", pa.int32()),
            pa.field("name", pa.string()),
            pa.field("region_id", pa.int16()),
            pa.field("time_zone", pa.string()),
            pa.field("received_at", pa.timestamp("us", "UTC")),
            pa.field("sequence", pa.int64()),
            pa.field("payload_digest", pa.string()),
        ]
    ),
    input=STORES,
    transform=_stores,
    expectations=(
        Expectation("readable", pl.col("store_id").is_not_null(), Action.QUARANTINE, "The payload is no store."),
        Expectation(
            "complete",
            pl.all_horizontal(pl.col("name", "region_id", "time_zone").is_not_null()),
            Action.QUARANTINE,
            "The store lacks a name, a region or a time zone.",
        ),
    ),
    quarantine=silver_quarantine.TABLE,
    sequence=("received_at", "sequence", "payload_digest"),
    slice_by="record_key",
    statistics=("store_id", "sequence"),
)
