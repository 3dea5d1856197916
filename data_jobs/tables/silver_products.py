"""Silver products: what is sold, as the tills last called it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Served, Table
from data_jobs.tables import silver_receipt_lines
from receipts.embedding import product_digest
from receipts.products import search_text

_TEXTS = ("description", "department", "category")


def _products(lines: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return one row per SKU among the lines: its last sale by business date, whatever order receipts came in."""
    last = lines.sort("receipt_id", "line_number").unique("sku", keep="last", maintain_order=True)
    texts = last.select(_TEXTS).unique()
    found = texts.with_columns(
        search_text=pl.Series([search_text(*row) for row in texts.iter_rows()], dtype=pl.String),
        text_digest=pl.Series([product_digest(*row) for row in texts.iter_rows()], dtype=pl.String),
    )
    return last.join(found, on=list(_TEXTS), how="left").rename({"receipt_id": "last_receipt_id"})


TABLE = Table(
    name="silver.products",
    grain="One row per SKU ever sold, as its last sale describes it; a product stays when that sale is corrected away.",
    key=("sku",),
    kind=Kind.LATEST,
    schema=pa.schema(
        [
            pa.field("sku", pa.string()),
            pa.field("description", pa.string()),
            pa.field("department", pa.string()),
            pa.field("category", pa.string()),
            pa.field("search_text", pa.string()),
            pa.field("text_digest", pa.string()),  # of what is embedded: products of one text share a vector
            pa.field("last_receipt_id", pa.string()),  # begins with the business date
            pa.field("line_number", pa.int32()),
        ]
    ),
    input=silver_receipt_lines.TABLE,
    columns=("sku", *_TEXTS, "receipt_id", "line_number"),
    transform=_products,
    sequence=("last_receipt_id", "line_number"),
    slice_by="sku",
    served_as=Served(
        "products",
        {
            "sku": pl.col("sku"),
            "description": pl.col("description"),
            "department": pl.col("department"),
            "category": pl.col("category"),
            "search_text": pl.col("search_text"),
            "text_digest": pl.col("text_digest"),
        },
    ),
)
