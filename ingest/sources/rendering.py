"""Receipts as JSON by the chunk: the bytes of `Receipt.canonical`, without building a model per line.

Two frames go in. Receipts: one row each, in the order they come out, with the columns `_receipt` names and
`tenders` as a JSON array. Lines: sorted by `receipt`, the row number of theirs; `goods` holds the JSON members
of the product (see `goods`), the rest are the columns `_line` names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import polars as pl


def goods(products: Iterable[Sequence[str]]) -> pl.Series:
    """Return the JSON members of (sku, description, department, category) rows, escaped once per product."""
    names = ("sku", "description", "department", "category")
    texts = (
        ",".join(f'"{name}":{json.dumps(text, ensure_ascii=False)}' for name, text in zip(names, product, strict=True))
        for product in products
    )
    return pl.Series("goods", list(texts), pl.String)


def with_sums(receipts: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the receipts with subtotal, discount, tax and total as sums of their lines: they add up."""
    sums = (
        lines.lazy()
        .group_by("receipt")
        .agg(
            subtotal_cents=pl.col("amount_cents").sum(),
            discount_cents=pl.col("discount_cents").sum(),
            tax_cents=pl.col("tax_cents").sum(),
        )
        .sort("receipt")
        .drop("receipt")
        .with_columns(total_cents=pl.col("subtotal_cents") + pl.col("tax_cents"))
        .collect()
    )
    return receipts.hstack(sums)


def render(receipts: pl.DataFrame, lines: pl.DataFrame) -> list[str]:
    """Return one JSON text per row of the receipts frame; every receipt has at least one line."""
    number = pl.int_range(pl.len()).over("receipt") + 1
    texts = (
        lines.lazy()
        .with_columns(line_number=number)
        .select("receipt", lines=_line())
        .group_by("receipt")  # rows within a group keep their order
        .agg(pl.col("lines").str.join(","))
        .sort("receipt")
        .select("lines")
        .collect()
    )
    return receipts.hstack(texts).select(text=_receipt())["text"].to_list()


def _line() -> pl.Expr:
    numbers = ("unit_price_cents", "discount_cents", "tax_cents", "amount_cents")
    return pl.concat_str(
        pl.lit('{"line_number":'),
        "line_number",
        pl.lit(","),
        "goods",
        pl.lit(',"quantity":'),
        pl.col("quantity").cast(pl.Float64).cast(pl.String),  # "1.0", as JSON writes a float
        pl.lit(',"unit":"'),
        "unit",
        pl.lit('"'),
        *_members(numbers),
        pl.lit("}"),
    )


def _receipt() -> pl.Expr:
    sums = ("subtotal_cents", "discount_cents", "tax_cents", "total_cents")
    return pl.concat_str(
        pl.lit('{"receipt_id":"'),
        "receipt_id",
        pl.lit('","receipt_type":"'),
        "receipt_type",
        pl.lit('"'),
        *_members(("store_id", "register_id")),
        pl.lit(',"business_date":"'),
        pl.col("business_date").cast(pl.String),
        pl.lit('"'),
        *_members(("sequence_number",)),
        pl.lit(',"purchased_at":"'),
        pl.col("purchased_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        pl.lit('"'),
        _optional("operator_id"),
        _optional("customer_id"),
        pl.lit(',"currency":"USD","lines":['),
        "lines",
        pl.lit("]"),
        *_members(sums),
        pl.lit(',"tenders":'),
        "tenders",
        _optional("original_receipt_id"),
        pl.lit("}"),
    )


def _members(names: Sequence[str]) -> list[pl.Expr]:
    """Return `,"name":value` for number columns."""
    return [part for name in names for part in (pl.lit(f',"{name}":'), pl.col(name))]


def _optional(name: str) -> pl.Expr:
    """Return `,"name":"text"`, or nothing where the column is null: canonical JSON leaves nulls out."""
    return pl.concat_str(pl.lit(f',"{name}":"'), name, pl.lit('"')).fill_null("")
