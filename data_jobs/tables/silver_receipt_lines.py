"""Silver receipt lines: what was on each receipt, in the version that serves."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.bronze_payloads import decode
from data_jobs.declaration import Kind, Table
from data_jobs.tables import silver_receipts

_LINE = {
    "line_number": pl.Int32,
    "sku": pl.String,
    "description": pl.String,
    "department": pl.String,
    "category": pl.String,
    "quantity": pl.Float64,
    "unit": pl.String,
    "unit_price_cents": pl.Int64,
    "discount_cents": pl.Int64,
    "tax_cents": pl.Int64,
    "amount_cents": pl.Int64,
}
_PAYLOAD = pl.Struct({"lines": pl.List(pl.Struct(_LINE))})
_RECEIPT = ("receipt_id", "store_id", "purchased_on", "customer_id", "receipt_type")


def _lines(receipts: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Take receipts apart into their lines."""
    return (
        pl.concat([receipts.select(_RECEIPT), decode(receipts["document"], _PAYLOAD)], how="horizontal")
        .explode("lines")
        .unnest("lines")
        .with_columns(pl.col("department", "category").fill_null(""))
    )


TABLE = Table(
    name="silver.receipt_lines",
    grain="One row per line of a receipt.",
    key=("receipt_id", "line_number"),
    kind=Kind.DERIVED,
    schema=pa.schema(
        [
            pa.field("receipt_id", pa.string()),
            pa.field("line_number", pa.int32()),
            pa.field("sku", pa.string()),
            pa.field("description", pa.string()),
            pa.field("department", pa.string()),
            pa.field("category", pa.string()),
            pa.field("quantity", pa.float64()),
            pa.field("unit", pa.string()),
            pa.field("unit_price_cents", pa.int64()),
            pa.field("discount_cents", pa.int64()),
            pa.field("tax_cents", pa.int64()),
            pa.field("amount_cents", pa.int64()),
            pa.field("store_id", pa.int32()),
            pa.field("purchased_on", pa.date32()),
            pa.field("customer_id", pa.string()),
            pa.field("receipt_type", pa.string()),
        ]
    ),
    inputs=(silver_receipts.TABLE,),
    columns={"silver.receipts": (*_RECEIPT, "document")},
    transform=_lines,
    slice_by="receipt_id",
    statistics=("store_id", "purchased_on"),
)
