"""Gold spending insights: what each customer spends on, month by month."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Personal, Served, Table
from data_jobs.folds import ROWS, additive
from data_jobs.tables import silver_receipt_lines

TABLE = Table(
    name="gold.spending_insights",
    grain="One row per customer, category and calendar month of the store's days, voids left out.",
    key=("customer_id", "category", "month"),
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("customer_id", pa.string()),
            pa.field("category", pa.string()),  # empty where a line has none
            pa.field("month", pa.date32()),  # its first day
            pa.field(ROWS, pa.int64()),  # receipt lines, returned ones among them
            pa.field("spend_cents", pa.int64()),  # net of returns
            pa.field("discount_cents", pa.int64()),
        ]
    ),
    input=silver_receipt_lines.TABLE,
    columns=(
        "receipt_id",
        "line_number",
        "customer_id",
        "category",
        "purchased_on",
        "receipt_type",
        "amount_cents",
        "discount_cents",
    ),
    fold=additive(
        {
            "customer_id": pl.col("customer_id"),
            "category": pl.col("category"),
            "month": pl.col("purchased_on").dt.truncate("1mo"),
        },
        {"spend_cents": pl.col("amount_cents"), "discount_cents": pl.col("discount_cents").fill_null(0)},
        where=(pl.col("receipt_type") != "void") & pl.col("customer_id").is_not_null(),
    ),
    slice_by="customer_id",
    partitioned_by="month",
    personal=Personal.PSEUDONYMOUS,
    served_as=Served(
        "spending_insights",
        {
            "customer_id": pl.col("customer_id"),
            "month": pl.col("month"),
            "category": pl.col("category"),
            "lines": pl.col(ROWS),
            "spend_cents": pl.col("spend_cents"),
            "discount_cents": pl.col("discount_cents"),
        },
    ),
)
