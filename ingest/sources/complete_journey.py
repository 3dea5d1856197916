"""Complete Journey as receipts: every basket of the real data set, as the till of its shop would send it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from ingest.sources.journey_tables import (
    TIME_ZONE,
    choose_households,
    home_stores,
    price_lines,
    read_products,
    read_transactions,
)
from ingest.sources.mixing import mix, pick
from ingest.sources.overlay.network import Shop, network
from ingest.sources.overlay.people import people
from ingest.sources.rendering import render, with_sums
from ingest.sources.sales_tax import tax_cents
from ingest.sources.tenders import tender_column
from receipts.identity import NaturalKey, receipt_id

LAST_DAY = date(2017, 12, 31)  # of the data, as the shops' calendar has it: a Sunday
FIRST_DAY = date(2017, 1, 1)
_CHUNK = 4_000  # baskets rendered at once: about 30 MB
_OPERATORS = 24  # cashiers per shop


@dataclass(frozen=True, slots=True)
class Journey:
    """The chosen baskets and their lines, in the order of purchase.

    baskets: one row per receipt. lines: one row per line item, sorted by `receipt`, the row of its basket.
    products: one row per product sold.
    """

    baskets: pl.DataFrame
    lines: pl.DataFrame
    products: pl.DataFrame
    first_day: date


def open_journey(baskets: int | None = None, shift_weeks: int = 0) -> Journey:
    """Read the data set, or so many whole households of it that they have at least `baskets` baskets.

    `shift_weeks` moves every purchase by whole weeks of the shops' wall clock, so weekdays and hours stay. A
    receipt's bytes do not depend on which others are chosen. Raises Unavailable when the package is missing.
    """
    transactions = read_transactions().collect()
    sold = _baskets(transactions, shift_weeks)
    if baskets is not None:
        sold = sold.filter(pl.col("household").is_in(choose_households(sold, baskets).implode()))
    sold = sold.with_columns(receipt=pl.int_range(pl.len(), dtype=pl.UInt32))
    lines = (
        transactions.drop("household", "store_id", "sold_at")
        .join(sold.select("basket_id", "receipt"), on="basket_id", how="inner", maintain_order="left")
        .drop("basket_id")
        .sort("receipt", maintain_order=True)
    )
    first_day = date.fromordinal(FIRST_DAY.toordinal() + 7 * shift_weeks)
    return Journey(sold, lines, read_products(lines["product_id"]), first_day)


def journey_receipts(journey: Journey) -> Iterator[str]:
    """Yield one canonical receipt JSON per basket in the order of purchase, a few thousand in memory at a time."""
    starts = journey.lines["receipt"].search_sorted(np.arange(0, journey.baskets.height + _CHUNK, _CHUNK))
    for number, start in enumerate(starts[:-1]):
        baskets = journey.baskets.slice(number * _CHUNK, _CHUNK)
        lines = journey.lines.slice(start, starts[number + 1] - start).with_columns(
            receipt=pl.col("receipt") - number * _CHUNK
        )
        if baskets.height:
            yield from _render(baskets, lines, journey.products)


def journey_stores() -> Iterator[str]:
    """Yield the canonical JSON of every shop of the data set."""
    return (shop.store.canonical() for shop in _shops())


def journey_customers(journey: Journey) -> Iterator[str]:
    """Yield the canonical JSON of every household whose baskets were chosen."""
    homes = home_stores(journey.baskets).sort("household")
    by_number = {shop.store.store_id: shop for shop in _shops()}
    shops = [by_number[store_id] for store_id in homes["store_id"]]
    customers = people(homes["household"].to_numpy(), shops, journey.first_day)
    return (customer.canonical() for customer in customers)


def _shops() -> list[Shop]:
    return [shop for shop in network() if shop.store.time_zone == TIME_ZONE]


def _baskets(transactions: pl.DataFrame, shift_weeks: int) -> pl.DataFrame:
    """Return one row per basket with its instant, local day, register and number, in the order of purchase."""
    first = transactions.group_by("basket_id").agg(
        pl.col("household", "store_id", "sold_at").first(), coupon_cents=pl.col("coupon_cents").sum()
    )
    shops = pl.DataFrame(
        [(shop.store.store_id, shop.yearly_baskets, shop.tax_basis_points) for shop in _shops()],
        schema={"store_id": pl.Int64, "yearly_baskets": pl.Int64, "tax_basis_points": pl.Int64},
        orient="row",
    )
    timed = (
        first.with_columns(purchased_at=_shifted(pl.col("sold_at"), shift_weeks))
        .with_columns(business_date=pl.col("purchased_at").dt.convert_time_zone(TIME_ZONE).dt.date())
        .join(shops, on="store_id", how="left")
        .sort("purchased_at", "basket_id")
    )
    lane = mix(timed["basket_id"].to_numpy(), "register") % np.uint64(1_000)
    registers = (pl.col("yearly_baskets") // 350 + 2).clip(2, 12)  # a lane per baskets a day, as far as a sample tells
    return timed.with_columns(register_id=pl.Series(lane).cast(pl.Int64) % registers + 1).with_columns(
        sequence_number=pl.int_range(1, pl.len() + 1).over("store_id", "register_id", "business_date")
    )


def _shifted(sold_at: pl.Expr, weeks: int) -> pl.Expr:
    """Return UTC instants moved by weeks of the local clock; a time that summer time skips becomes an hour later."""
    utc = sold_at.dt.replace_time_zone("UTC")
    if weeks == 0:
        return utc
    local = utc.dt.convert_time_zone(TIME_ZONE).dt.replace_time_zone(None) + pl.duration(weeks=weeks)
    moved, later = (
        clock.dt.replace_time_zone(TIME_ZONE, ambiguous="earliest", non_existent="null")
        for clock in (local, local + pl.duration(hours=1))
    )
    return moved.fill_null(later).dt.convert_time_zone("UTC")


def _render(baskets: pl.DataFrame, lines: pl.DataFrame, products: pl.DataFrame) -> list[str]:
    rates = baskets.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("receipt"), "tax_basis_points")
    priced = (
        price_lines(
            lines.join(products, on="product_id", how="left", maintain_order="left").join(
                rates, on="receipt", how="left", maintain_order="left"
            )
        )
        .with_columns(tax_cents=tax_cents("amount_cents", "tax_basis_points", "taxed"))
        .with_columns(food_cents=pl.when("food").then("amount_cents").otherwise(0))
    )
    food = priced.group_by("receipt").agg(pl.col("food_cents").sum()).sort("receipt").select("food_cents")
    summed = with_sums(_headers(baskets), priced).hstack(food)
    payer = mix(baskets["household"].to_numpy(), "wallet")
    tenders = tender_column(summed, payer, mix(baskets["basket_id"].to_numpy(), "basket"))
    return render(summed.with_columns(tenders), priced)


def _headers(baskets: pl.DataFrame) -> pl.DataFrame:
    keys = baskets.select("store_id", "register_id", "business_date", "sequence_number")
    operators = pick(
        _OPERATORS,
        baskets["store_id"].to_numpy(),
        baskets["register_id"].to_numpy(),
        baskets["business_date"].to_physical().to_numpy(),
    )
    return keys.with_columns(
        baskets["purchased_at"],
        baskets["coupon_cents"],
        pl.Series("receipt_id", [receipt_id(NaturalKey(*row)) for row in keys.iter_rows()]),
        pl.lit("sale").alias("receipt_type"),
        pl.concat_str(pl.lit("OP"), pl.Series(operators + 101)).alias("operator_id"),
        pl.concat_str(pl.lit("C"), baskets["household"].cast(pl.String).str.zfill(7)).alias("customer_id"),
        pl.lit(None, pl.String).alias("original_receipt_id"),
    )
