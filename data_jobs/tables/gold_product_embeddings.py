"""Gold product embeddings: the vector that finds a product by what it is."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Served, Table
from data_jobs.tables import silver_products

_VECTOR = pl.concat_str(pl.lit("["), pl.col("embedding").cast(pl.List(pl.String)).list.join(","), pl.lit("]"))

TABLE = Table(
    name="gold.product_embeddings",
    grain="One row per SKU, of the text its product has now.",
    key=("sku",),
    kind=Kind.FILLED,  # by data_jobs/embeddings.py
    schema=pa.schema(
        [
            pa.field("sku", pa.string()),
            pa.field("text_digest", pa.string()),
            pa.field("model", pa.string()),
            pa.field("embedding", pa.list_(pa.float32())),
        ]
    ),
    inputs=(silver_products.TABLE,),
    served_as=Served(
        "product_embeddings",
        {
            "sku": pl.col("sku"),
            "embedding": _VECTOR,
            "text_digest": pl.col("text_digest"),
            "model": pl.col("model"),
        },
    ),
)
