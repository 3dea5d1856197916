"""Gold store days: what each store took on each of its days."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Table
from data_jobs.folds import ROWS, additive
from data_jobs.tables import silver_receipts

_TYPE, _CENTS = pl.col("receipt_type"), pl.col("total_cents")


def _when(receipt_type: str, measure: pl.Expr) -> pl.Expr:
    return pl.when(receipt_type == _TYPE).then(measure).otherwise(0)


TABLE = Table(
    name="gold.store_days",
    grain="One row per store and day of that store on which a receipt was printed.",
    key=("store_id", "day"),
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("store_id", pa.int32()),
            pa.field("day", pa.date32()),
            pa.field("month", pa.date32()),  # its first day; parts the files
            pa.field(ROWS, pa.int64()),  # receipts of any type
            pa.field("sales", pa.int64()),
            pa.field("returns", pa.int64()),
            pa.field("voids", pa.int64()),
            pa.field("sales_cents", pa.int64()),
            pa.field("returned_cents", pa.int64()),  # below zero
            pa.field("tax_cents", pa.int64()),
            pa.field("discount_cents", pa.int64()),
            pa.field("lines", pa.int64()),
            pa.field("known_customers_sales", pa.int64()),
        ]
    ),
    input=silver_receipts.TABLE,
    columns=(
        "receipt_id",
        "store_id",
        "purchased_on",
        "receipt_type",
        "total_cents",
        "tax_cents",
        "discount_cents",
        "item_count",
        "customer_id",
    ),
    fold=additive(
        {
            "store_id": pl.col("store_id"),
            "day": pl.col("purchased_on"),
            "month": pl.col("purchased_on").dt.truncate("1mo"),
        },
        {
            "sales": _when("sale", pl.lit(1)),
            "returns": _when("return", pl.lit(1)),
            "voids": _when("void", pl.lit(1)),
            "sales_cents": _when("sale", _CENTS),
            "returned_cents": _when("return", _CENTS),
            "tax_cents": pl.when(_TYPE != "void").then(pl.col("tax_cents")).otherwise(0),
            "discount_cents": pl.when(_TYPE != "void").then(pl.col("discount_cents")).otherwise(0),
            "lines": pl.when(_TYPE != "void").then(pl.col("item_count").cast(pl.Int64)).otherwise(0),
            "known_customers_sales": _when("sale", pl.col("customer_id").is_not_null().cast(pl.Int64)),
        },
    ),
    slice_by="store_id",
    partitioned_by="month",
    statistics=("store_id", "day"),
)
