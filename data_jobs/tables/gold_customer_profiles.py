"""Gold customer profiles: what a representative should know of a customer before saying hello."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Kind, Served, Table
from data_jobs.shopping_pattern import pattern_sentence
from data_jobs.tables import silver_receipt_lines, silver_receipts, silver_stores

_MONTHS = 6
_CATEGORIES = 5
_RECENT_DAYS = 30
_RECEIPT = (
    "customer_id", "store_id", "region_id", "receipt_type", "purchased_at", "purchased_on", "total_cents"
)  # fmt: skip
_LINE = ("customer_id", "category", "receipt_type", "amount_cents")
_DOCUMENT = (
    "lifetime_spend_cents", "visits", "returns", "average_basket_cents", "days_between_visits", "first_visit_on",
    "last_visit_on", "last_visit_at", "favourite_store_id", "top_categories", "spend_by_month", "visits_last_30_days",
    "recent_pattern",
)  # fmt: skip


def _profiles(receipts: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the profile of every customer among the receipts, which must be all receipts of these customers.

    A visit is a sale. Returns carry negative amounts, so spend is net of them. A void never happened.
    """
    kept = receipts.filter(pl.col("receipt_type") != "void")
    lines = read["silver.receipt_lines"].filter(pl.col("receipt_type") != "void")
    profiles = (
        _totals(kept)
        .join(_favourite_store(kept), on="customer_id", how="left")
        .join(_spend_by_month(kept), on="customer_id", how="left")
        .join(_top_categories(lines), on="customer_id", how="left")
        .join(_recent_visits(kept), on="customer_id", how="left")
        .with_columns(pl.col("visits_last_30_days").fill_null(0), pl.col("top_categories").fill_null([]))
    )
    names = read["silver.stores"].select(favourite_store_id="store_id", store_name="name")
    told = profiles.join(names, on="favourite_store_id", how="left").with_columns(recent_pattern=pattern_sentence())
    return told.with_columns(document=_document())


def _totals(kept: pl.DataFrame) -> pl.DataFrame:
    sale = pl.col("receipt_type") == "sale"
    day = pl.col("purchased_on").filter(sale)
    span = (day.max() - day.min()).dt.total_days()
    sales_cents, visits = pl.col("total_cents").filter(sale).sum(), sale.sum().cast(pl.Int64)
    return kept.group_by("customer_id").agg(
        region_ids=pl.col("region_id").unique().sort(),
        lifetime_spend_cents=pl.col("total_cents").sum(),
        visits=visits.cast(pl.Int32),
        returns=(pl.col("receipt_type") == "return").sum().cast(pl.Int32),
        # Halves are rounded up, in integers: cents never pass through a float.
        average_basket_cents=pl.when(visits > 0).then((2 * sales_cents + visits) // (2 * visits)).otherwise(None),
        days_between_visits=pl.when(day.n_unique() > 1).then((span / (day.n_unique() - 1)).round(1)).otherwise(None),
        first_visit_on=day.min(),
        last_visit_on=day.max(),
        last_visit_at=pl.col("purchased_at").filter(sale).max(),
        last_on=pl.col("purchased_on").max(),  # of any receipt
    )


def _favourite_store(kept: pl.DataFrame) -> pl.DataFrame:
    """Return the store of most visits; of equals the one visited last, then the lowest number."""
    by_store = kept.group_by("customer_id", "store_id").agg(
        n=(pl.col("receipt_type") == "sale").sum(), last=pl.col("purchased_at").max()
    )
    ranked = by_store.sort("n", "last", "store_id", descending=[True, True, False])
    return ranked.group_by("customer_id").agg(favourite_store_id=pl.col("store_id").first())


def _spend_by_month(kept: pl.DataFrame) -> pl.DataFrame:
    """Return the six calendar months that end with the customer's last one, months without a receipt as zero."""
    month = pl.col("purchased_on").dt.truncate("1mo")
    spent = kept.group_by("customer_id", month=month).agg(spend_cents=pl.col("total_cents").sum())
    last = kept.group_by("customer_id").agg(last=month.max())
    calendar = last.with_columns(
        month=pl.date_ranges(pl.col("last").dt.offset_by(f"-{_MONTHS - 1}mo"), pl.col("last"), "1mo")
    ).explode("month")
    filled = calendar.join(spent, on=["customer_id", "month"], how="left").sort("customer_id", "month")
    return filled.group_by("customer_id").agg(
        spend_by_month=pl.struct(
            month=pl.col("month").dt.strftime("%Y-%m"), spend_cents=pl.col("spend_cents").fill_null(0)
        )
    )


def _top_categories(lines: pl.DataFrame) -> pl.DataFrame:
    spent = (
        lines.filter(pl.col("category") != "")
        .group_by("customer_id", "category")
        .agg(spend_cents=pl.col("amount_cents").sum())
        .filter(pl.col("spend_cents") > 0)
        .sort("spend_cents", "category", descending=[True, False])
    )
    return spent.group_by("customer_id").agg(top_categories=pl.struct("category", "spend_cents").head(_CATEGORIES))


def _recent_visits(kept: pl.DataFrame) -> pl.DataFrame:
    """Count the visits of the 30 days that end with the last one, and find their most usual weekday."""
    sales = kept.filter(pl.col("receipt_type") == "sale")
    last = pl.col("purchased_on").max().over("customer_id")
    recent = sales.filter(pl.col("purchased_on") > last - pl.duration(days=_RECENT_DAYS))
    return recent.group_by("customer_id").agg(
        visits_last_30_days=pl.len().cast(pl.Int32),
        recent_spend_cents=pl.col("total_cents").sum(),
        usual_day=pl.col("purchased_on").dt.strftime("%A").mode().sort().first(),
        usual_day_visits=pl.col("purchased_on").dt.weekday().value_counts(sort=True).first().struct.field("count"),
    )


def _document() -> pl.Expr:
    texts = {
        "first_visit_on": pl.col("first_visit_on").dt.strftime("%Y-%m-%d"),
        "last_visit_on": pl.col("last_visit_on").dt.strftime("%Y-%m-%d"),
        "last_visit_at": pl.col("last_visit_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return pl.struct([texts.get(name, pl.col(name)).alias(name) for name in _DOCUMENT]).struct.json_encode()


TABLE = Table(
    name="gold.customer_profiles",
    grain="One row per customer with at least one receipt that is not void.",
    key=("customer_id",),
    kind=Kind.REBUILT,  # the last visit of a corrected receipt cannot be folded out: the customer is computed anew
    schema=pa.schema(
        [
            pa.field("customer_id", pa.string()),
            pa.field("region_ids", pa.list_(pa.int16())),  # where the customer has shopped
            pa.field("lifetime_spend_cents", pa.int64()),
            pa.field("visits", pa.int32()),
            pa.field("returns", pa.int32()),
            pa.field("average_basket_cents", pa.int64()),
            pa.field("days_between_visits", pa.float64()),
            pa.field("first_visit_on", pa.date32()),
            pa.field("last_visit_on", pa.date32()),
            pa.field("last_visit_at", pa.timestamp("us", "UTC")),
            pa.field("favourite_store_id", pa.int32()),
            pa.field("visits_last_30_days", pa.int32()),
            pa.field("document", pa.string()),  # all of it as the context route answers it
        ]
    ),
    inputs=(silver_receipts.TABLE, silver_receipt_lines.TABLE),
    lookups=(silver_stores.TABLE,),
    columns={"silver.receipts": _RECEIPT, "silver.receipt_lines": _LINE},
    transform=_profiles,
    slice_by="customer_id",
    served_as=Served(
        "customer_profiles",
        {
            "customer_id": pl.col("customer_id"),
            "region_ids": pl.col("region_ids").cast(pl.List(pl.String)).list.join(","),
            "lifetime_spend_cents": pl.col("lifetime_spend_cents"),
            "visits": pl.col("visits"),
            "last_visit_at": pl.col("last_visit_at"),
            "document": pl.col("document"),
        },
    ),
)
