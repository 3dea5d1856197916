"""Gold product embeddings: the vectors that find products by what they are."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Served, Table
from data_jobs.tables import silver_products

_VECTOR = pl.concat_str(pl.lit("["), pl.col("embedding").cast(pl.List(pl.String)).list.join(","), pl.lit("]"))

TABLE = Table(
    name="gold.product_embeddings",
    grain="One row per distinct text of a product; products of one text share it.",
    key=("text_digest",),
    kind=Kind.FILLED,  # by data_jobs/embeddings.py
    schema=pa.schema(
        [
            pa.field("text_digest", pa.string()),
            pa.field("model", pa.string()),
            pa.field("embedding", pa.list_(pa.float32())),
        ]
    ),
    input=silver_products.TABLE,
    served_as=Served(
        "product_embeddings",
        {
            "text_digest": pl.col("text_digest"),
            "embedding": _VECTOR,
            "model": pl.col("model"),
        },
    ),
)
