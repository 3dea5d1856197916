"""Silver products: what is sold, as the tills last called it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

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
    made = pl.DataFrame(
        [_made_of(*row) for row in texts.iter_rows()],
        schema={"search_text": pl.String, "text_digest": pl.String},
        orient="row",
    )
    found = pl.concat([texts, made], how="horizontal")
    return last.join(found, on=list(_TEXTS), how="left").rename({"receipt_id": "last_receipt_id"})


@lru_cache(maxsize=100_000)  # texts of a large retailer, some 50 MB: batch after batch sells the same things
def _made_of(description: str, department: str, category: str) -> tuple[str, str]:
    texts = (description, department, category)
    return search_text(*texts), product_digest(*texts)


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
