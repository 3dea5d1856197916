"""Gold customer profiles: what a representative should know of a customer before saying hello."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Fold, Kind, Personal, Served, Table
from data_jobs.shopping_pattern import pattern_sentence
from data_jobs.tables import silver_receipts, silver_stores

_MONTHS = 6
_CATEGORIES = 5
_RECENT_DAYS = 30
_KEY = "customer_id"
_DOCUMENT = (
    "lifetime_spend_cents", "visits", "returns", "average_basket_cents", "days_between_visits", "first_visit_on",
    "last_visit_on", "last_visit_at", "favourite_store_id", "top_categories", "spend_by_month", "visits_last_30_days",
    "recent_pattern",
)  # fmt: skip
_SUMS = ("lifetime_spend_cents", "sales_cents", "visits", "returns")
_LASTS = ("last_visit_on", "last_visit_at", "last_on")


def _summarise(receipts: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the state of every customer among the receipts.

    A visit is a sale. Returns carry negative amounts, so spend is net of them. A void never happened.
    """
    kept = receipts.filter((pl.col("receipt_type") != "void") & pl.col(_KEY).is_not_null())
    sale, cents = pl.col("receipt_type") == "sale", pl.col("total_cents")
    totals = kept.group_by(_KEY).agg(
        region_ids=pl.col("region_id").unique(),
        lifetime_spend_cents=cents.sum(),
        sales_cents=cents.filter(sale).sum(),
        visits=sale.sum().cast(pl.Int64),
        returns=(~sale).sum().cast(pl.Int64),
        first_visit_on=pl.col("purchased_on").filter(sale).min(),
        last_visit_on=pl.col("purchased_on").filter(sale).max(),
        last_visit_at=pl.col("purchased_at").filter(sale).max(),
        last_on=pl.col("purchased_on").max(),  # of any receipt
    )
    month = pl.col("purchased_on").dt.truncate("1mo")
    stores = kept.group_by(_KEY, "store_id").agg(visits=sale.sum().cast(pl.Int64), last_at=pl.col("purchased_at").max())
    months = kept.group_by(_KEY, month=month).agg(spend_cents=cents.sum())
    days = (
        kept.filter(sale)
        .group_by(_KEY, day="purchased_on")
        .agg(visits=pl.len().cast(pl.Int64), spend_cents=cents.sum())
    )
    lines = kept.select(_KEY, "lines").explode("lines", empty_as_null=False).unnest("lines")
    categories = lines.group_by(_KEY, pl.col("category").fill_null("")).agg(spend_cents=pl.col("amount_cents").sum())
    return _with_lists(totals, stores, months, days, categories.filter(pl.col("category") != ""))


def _combine(states: pl.DataFrame) -> pl.DataFrame:
    """Merge states of the same customers."""
    totals = states.group_by(_KEY).agg(
        pl.col("region_ids").explode().unique(),
        pl.col(_SUMS).sum(),
        pl.col("first_visit_on").min(),
        pl.col(_LASTS).max(),
    )
    stores = (
        _entries(states, "by_store").group_by(_KEY, "store_id").agg(pl.col("visits").sum(), pl.col("last_at").max())
    )
    months = _entries(states, "by_month").group_by(_KEY, "month").agg(pl.col("spend_cents").sum())
    days = _entries(states, "by_day").group_by(_KEY, "day").agg(pl.col("visits", "spend_cents").sum())
    categories = _entries(states, "by_category").group_by(_KEY, "category").agg(pl.col("spend_cents").sum())
    return _with_lists(totals, stores, months, days, categories)


def _entries(states: pl.DataFrame, name: str) -> pl.DataFrame:
    return states.select(_KEY, name).explode(name, empty_as_null=False).unnest(name)


def _with_lists(
    totals: pl.DataFrame, stores: pl.DataFrame, months: pl.DataFrame, days: pl.DataFrame, categories: pl.DataFrame
) -> pl.DataFrame:
    """Put sums by store, month, day and category beside the totals, of months and days only the last ones.

    Receipts only ever move the last day forward, so what falls behind the window is never asked for again.
    """
    ends = totals.select(_KEY, "last_on", "last_visit_on")
    first_month = pl.col("last_on").dt.truncate("1mo").dt.offset_by(f"-{_MONTHS - 1}mo")
    months = months.join(ends, on=_KEY).filter(pl.col("month") >= first_month)
    days = days.join(ends, on=_KEY).filter(pl.col("day") > pl.col("last_visit_on") - pl.duration(days=_RECENT_DAYS))
    lists = {
        "by_store": (stores, "store_id", "visits", "last_at"),
        "by_month": (months, "month", "spend_cents"),
        "by_day": (days, "day", "visits", "spend_cents"),
        "by_category": (categories, "category", "spend_cents"),
    }
    for name, (rows, *columns) in lists.items():
        listed = rows.group_by(_KEY).agg(pl.struct(columns).sort_by(columns[0]).alias(name))
        totals = totals.join(listed, on=_KEY, how="left").with_columns(pl.col(name).fill_null([]))
    return totals


def _finish(states: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Tell of every customer what the states come to."""
    sales, visits = pl.col("sales_cents"), pl.col("visits")
    span = (pl.col("last_visit_on") - pl.col("first_visit_on")).dt.total_days()
    told = (
        states.with_columns(
            pl.col("region_ids").list.sort(),
            # Halves are rounded up, in integers: cents never pass through a float.
            average_basket_cents=pl.when(visits > 0).then((2 * sales + visits) // (2 * visits)).otherwise(None),
            days_between_visits=pl.when(visits > 1).then((span / (visits - 1)).round(1)).otherwise(None),
        )
        .join(_favourite_store(states), on=_KEY, how="left")
        .join(_spend_by_month(states), on=_KEY, how="left")
        .join(_top_categories(states), on=_KEY, how="left")
        .join(_recent_visits(states), on=_KEY, how="left")
        .with_columns(pl.col("visits_last_30_days").fill_null(0), pl.col("top_categories").fill_null([]))
    )
    names = read["silver.stores"].select(favourite_store_id="store_id", store_name="name")
    named = told.join(names, on="favourite_store_id", how="left").with_columns(recent_pattern=pattern_sentence())
    return named.with_columns(document=_document())


def _favourite_store(states: pl.DataFrame) -> pl.DataFrame:
    """Return the store of most visits; of equals the one visited last, then the lowest number."""
    ranked = _entries(states, "by_store").sort("visits", "last_at", "store_id", descending=[True, True, False])
    return ranked.group_by(_KEY).agg(favourite_store_id=pl.col("store_id").first())


def _spend_by_month(states: pl.DataFrame) -> pl.DataFrame:
    """Return the six calendar months that end with the customer's last one, months without a receipt as zero."""
    last = pl.col("last_on").dt.truncate("1mo")
    months = pl.date_ranges(last.dt.offset_by(f"-{_MONTHS - 1}mo"), last, "1mo")
    calendar = states.select(_KEY, month=months).explode("month")
    filled = calendar.join(_entries(states, "by_month"), on=[_KEY, "month"], how="left").sort(_KEY, "month")
    spend = pl.col("spend_cents").fill_null(0)
    return filled.group_by(_KEY).agg(
        spend_by_month=pl.struct(month=pl.col("month").dt.strftime("%Y-%m"), spend_cents=spend)
    )


def _top_categories(states: pl.DataFrame) -> pl.DataFrame:
    spent = _entries(states, "by_category").filter(pl.col("spend_cents") > 0)
    ranked = spent.sort("spend_cents", "category", descending=[True, False])
    return ranked.group_by(_KEY).agg(top_categories=pl.struct("category", "spend_cents").head(_CATEGORIES))


def _recent_visits(states: pl.DataFrame) -> pl.DataFrame:
    """Count the visits of the 30 days that end with the last one, and find their most usual weekday."""
    days = _entries(states, "by_day").with_columns(weekday=pl.col("day").dt.strftime("%A"))
    by_weekday = days.group_by(_KEY, "weekday").agg(pl.col("visits", "spend_cents").sum())
    ranked = by_weekday.sort("visits", "weekday", descending=[True, False])
    return ranked.group_by(_KEY).agg(
        visits_last_30_days=pl.col("visits").sum().cast(pl.Int32),
        recent_spend_cents=pl.col("spend_cents").sum(),
        usual_day=pl.col("weekday").first(),
        usual_day_visits=pl.col("visits").first(),
    )


def _document() -> pl.Expr:
    texts = {
        "first_visit_on": pl.col("first_visit_on").dt.strftime("%Y-%m-%d"),
        "last_visit_on": pl.col("last_visit_on").dt.strftime("%Y-%m-%d"),
        "last_visit_at": pl.col("last_visit_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return pl.struct([texts.get(name, pl.col(name)).alias(name) for name in _DOCUMENT]).struct.json_encode()


def _list_of(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind) for name, kind in fields.items()]))


TABLE = Table(
    name="gold.customer_profiles",
    grain="One row per customer with at least one receipt that is not void.",
    key=("customer_id",),
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("customer_id", pa.string()),
            pa.field("region_ids", pa.list_(pa.int16())),  # where the customer has shopped
            pa.field("lifetime_spend_cents", pa.int64()),
            pa.field("visits", pa.int64()),
            pa.field("returns", pa.int64()),
            pa.field("average_basket_cents", pa.int64()),
            pa.field("days_between_visits", pa.float64()),
            pa.field("first_visit_on", pa.date32()),
            pa.field("last_visit_on", pa.date32()),
            pa.field("last_visit_at", pa.timestamp("us", "UTC")),
            pa.field("favourite_store_id", pa.int32()),
            pa.field("visits_last_30_days", pa.int32()),
            pa.field("document", pa.string()),  # all of it as the context route answers it
            # The rest of the state that receipts are folded into.
            pa.field("sales_cents", pa.int64()),
            pa.field("last_on", pa.date32()),
            pa.field("by_store", _list_of(store_id=pa.int32(), visits=pa.int64(), last_at=pa.timestamp("us", "UTC"))),
            pa.field("by_month", _list_of(month=pa.date32(), spend_cents=pa.int64())),
            pa.field("by_day", _list_of(day=pa.date32(), visits=pa.int64(), spend_cents=pa.int64())),
            pa.field("by_category", _list_of(category=pa.string(), spend_cents=pa.int64())),
        ]
    ),
    input=silver_receipts.TABLE,
    lookups=(silver_stores.TABLE,),
    columns=(
        "receipt_id",
        _KEY,
        "store_id",
        "region_id",
        "receipt_type",
        "purchased_at",
        "purchased_on",
        "total_cents",
        "lines",
    ),
    # The last visit of a corrected receipt cannot be taken out again: its customer is summed up anew.
    fold=Fold(_summarise, _combine, _finish),
    slice_by="customer_id",
    personal=Personal.PSEUDONYMOUS,
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
