"""Silver receipt lines: what was on each receipt, in the version that serves."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Personal, Table
from data_jobs.tables import silver_receipts

_RECEIPT = ("receipt_id", "store_id", "purchased_on", "customer_id", "receipt_type")


def _lines(receipts: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Take receipts apart into their lines."""
    lines = receipts.explode("lines", empty_as_null=False).unnest("lines")
    return lines.with_columns(pl.col("department", "category").fill_null(""))


TABLE = Table(
    name="silver.receipt_lines",
    grain="One row per line of a receipt.",
    key=("receipt_id", "line_number"),
    kind=Kind.DERIVED,
    schema=pa.schema(
        [
            pa.field("receipt_id", pa.string()),
            *silver_receipts.LINE,
            pa.field("store_id", pa.int32()),
            pa.field("purchased_on", pa.date32()),
            pa.field("customer_id", pa.string()),
            pa.field("receipt_type", pa.string()),
        ]
    ),
    input=silver_receipts.TABLE,
    columns=(*_RECEIPT, "lines"),
    transform=_lines,
    slice_by="receipt_id",
    personal=Personal.PSEUDONYMOUS,
    statistics=("store_id", "purchased_on"),
)
