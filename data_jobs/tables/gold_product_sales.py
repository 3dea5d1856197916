"""Gold product sales: what of each product was sold on each day."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Table
from data_jobs.folds import ROWS, additive
from data_jobs.tables import silver_receipt_lines

_SALE = pl.col("receipt_type") == "sale"

TABLE = Table(
    name="gold.product_sales",
    grain="One row per product and day of the stores on which it was sold or returned, voids left out.",
    key=("sku", "day"),
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("sku", pa.string()),
            pa.field("day", pa.date32()),
            pa.field("month", pa.date32()),  # its first day; parts the files
            pa.field(ROWS, pa.int64()),  # receipt lines
            pa.field("quantity_thousandths", pa.int64()),  # in the product's unit; returns taken off
            pa.field("sales_cents", pa.int64()),
            pa.field("returned_cents", pa.int64()),  # below zero
            pa.field("discount_cents", pa.int64()),
        ]
    ),
    input=silver_receipt_lines.TABLE,
    columns=(
        "receipt_id",
        "line_number",
        "sku",
        "purchased_on",
        "receipt_type",
        "quantity",
        "amount_cents",
        "discount_cents",
    ),
    fold=additive(
        {"sku": pl.col("sku"), "day": pl.col("purchased_on"), "month": pl.col("purchased_on").dt.truncate("1mo")},
        {
            # Thousandths are whole numbers: what is added and taken out again leaves nothing behind.
            "quantity_thousandths": (pl.col("quantity") * 1000).round(0).cast(pl.Int64),
            "sales_cents": pl.when(_SALE).then(pl.col("amount_cents")).otherwise(0),
            "returned_cents": pl.when(_SALE).then(0).otherwise(pl.col("amount_cents")),
            "discount_cents": pl.col("discount_cents").fill_null(0),
        },
        where=pl.col("receipt_type") != "void",
    ),
    slice_by="sku",
    partitioned_by="month",
    statistics=("day",),
)
