"""Gold shopping bursts: what customers and cards buy and return month by month, and how quickly one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
import pyarrow as pa

from data_jobs.declaration import SIGN, Fold, Kind, Personal, Table
from data_jobs.folds import ROWS, present
from data_jobs.tables import silver_receipts

CUSTOMER, CARD = "customer", "card"
_KEY = ("subject_id", "subject_type", "month")
_SUMS = (ROWS, "sales", "returns", "sales_cents", "returned_cents")
_MOMENT = ("at", "store_id")
_FEWEST = 3  # sales in a month: fewer are no burst of any kind
_SIGNAL = pl.Struct(
    {
        "name": pl.String,
        "value": pl.Float64,
        "threshold": pl.Float64,
        "first_at": pl.Datetime("us", "UTC"),
        "last_at": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Burst:
    """Something worth a look: a figure of the sales within a span of time that reaches a threshold."""

    name: str
    subject_type: str
    figure: str  # `sales`, or `stores` that they were made at
    within: timedelta
    threshold: int


# A card is known by brand and last four digits, which thousands of cards share. Where a region has five thousand card
# sales a day, chance takes one such "card" to three of its stores within two hours twice a day, and to four once in two
# months (simulated with 25 stores and half of the cards of one brand).
BURSTS = (
    Burst("card_many_stores", CARD, "stores", timedelta(hours=2), 4),
    Burst("customer_many_stores", CUSTOMER, "stores", timedelta(hours=2), 3),
    Burst("velocity", CARD, "sales", timedelta(hours=1), 6),
    Burst("velocity", CUSTOMER, "sales", timedelta(hours=1), 6),
)
_RETURN_RATE, _SEVERAL = 0.5, 3  # of what was bought, in so many returns


def _summarise(receipts: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return signed sums and moments of customers, and of cards that paid for sales. A void never happened."""
    sale, sign, cents = pl.col("receipt_type") == "sale", pl.col(SIGN).cast(pl.Int64), pl.col("total_cents")
    facts = receipts.filter(pl.col("receipt_type") != "void").with_columns(
        month=pl.col("purchased_on").dt.truncate("1mo"),
        rows=sign,
        sales=sale * sign,
        returns=~sale * sign,
        sales_cents=sale * cents * sign,
        returned_cents=~sale * cents * sign,
        at=pl.col("purchased_at"),
    )
    customers = facts.drop_nulls("customer_id").with_columns(subject_id="customer_id", subject_type=pl.lit(CUSTOMER))
    names = [*_KEY, *_SUMS, *_MOMENT]
    subjects = pl.concat([customers.select(names), _cards(facts.filter(sale)).select(names)])
    moments = subjects.filter(pl.col("sales") != 0).select(*_KEY, *_MOMENT, "sales")
    return _with_moments(subjects, moments)


def _cards(sales: pl.DataFrame) -> pl.DataFrame:
    """Return sales once for each card that paid: region, brand in small letters, last four digits."""
    card = pl.col("tenders").struct
    brand = card.field("card_brand").fill_null("").str.to_lowercase().str.replace_all("[^a-z0-9]", "")
    paid = sales.explode("tenders", empty_as_null=False).filter(card.field("card_last4").is_not_null())
    named = paid.with_columns(
        subject_id=pl.concat_str("region_id", brand, card.field("card_last4"), separator="/"),
        subject_type=pl.lit(CARD),
    )
    return named.unique(["receipt_id", "subject_id", SIGN])  # one card may pay twice


def _combine(states: pl.DataFrame) -> pl.DataFrame:
    """Merge states of the same subjects and months."""
    moments = states.select(*_KEY, "moments").explode("moments", empty_as_null=False).unnest("moments")
    return _with_moments(states, moments)


def _with_moments(subjects: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Add up sums and moments by key; a moment below zero waits for what it is taken from."""
    summed = subjects.group_by(_KEY).agg(pl.col(_SUMS).sum())
    counted = moments.group_by(*_KEY, *_MOMENT).agg(pl.col("sales").sum()).filter(pl.col("sales") != 0)
    listed = counted.group_by(_KEY).agg(pl.struct(*_MOMENT, "sales").sort_by(*_MOMENT).alias("moments"))
    return summed.join(listed, on=_KEY, how="left").with_columns(pl.col("moments").fill_null([]))


def _finish(states: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Say which signals each subject's month gives: of each kind the strongest burst, and the share returned."""
    kept = present(states)
    given = pl.concat([*(_bursts(kept, burst) for burst in BURSTS), _return_rates(kept)])
    signal = pl.struct(list(_SIGNAL.to_schema()))
    signals = given.group_by(_KEY).agg(signal.sort_by("name").alias("signals"))
    return kept.join(signals, on=_KEY, how="left").with_columns(pl.col("signals").fill_null([]))


def _bursts(states: pl.DataFrame, burst: Burst) -> pl.DataFrame:
    """Return the subjects whose sales within the span reach the threshold: the most of them, the earliest first."""
    likely = states.filter((pl.col("subject_type") == burst.subject_type) & (pl.col("sales") >= _FEWEST))
    moments = likely.select(*_KEY, "moments").explode("moments", empty_as_null=False).unnest("moments")
    spans = (
        moments.filter(pl.col("sales") > 0)
        .sort("at")
        .rolling("at", period=burst.within, offset=timedelta(), closed="both", group_by=_KEY)
        .agg(pl.col("sales").sum(), stores=pl.col("store_id").n_unique(), last_at=pl.col("at").max())
    )
    reached = spans.filter(pl.col(burst.figure) >= burst.threshold).sort(burst.figure, "at", descending=[True, False])
    strongest = reached.group_by(_KEY, maintain_order=True).first()
    return _signals(strongest, burst.name, pl.col(burst.figure), burst.threshold, ("at", "last_at"))


def _return_rates(states: pl.DataFrame) -> pl.DataFrame:
    sold, returned = pl.col("sales_cents"), -pl.col("returned_cents")
    rate = pl.when(sold > 0).then((returned / sold).round(4)).otherwise(1.0)
    enough = (pl.col("subject_type") == CUSTOMER) & (pl.col("returns") >= _SEVERAL) & (rate >= _RETURN_RATE)
    return _signals(states.filter(enough), "return_rate", rate, _RETURN_RATE, None)


def _signals(
    subjects: pl.DataFrame, name: str, value: pl.Expr, threshold: float, span: tuple[str, str] | None
) -> pl.DataFrame:
    first, last = (pl.col(end) for end in span) if span else (pl.lit(None), pl.lit(None))
    told = {"name": pl.lit(name), "value": value, "threshold": pl.lit(threshold), "first_at": first, "last_at": last}
    kinds = _SIGNAL.to_schema()
    return subjects.select(*_KEY, *(each.cast(kinds[field]).alias(field) for field, each in told.items()))


def _list_of(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind) for name, kind in fields.items()]))


_INSTANT = pa.timestamp("us", "UTC")
TABLE = Table(
    name="gold.shopping_bursts",
    grain="One row per customer with a sale or a return, or card of a region with a sale, and calendar month of the "
    "stores' days.",
    key=_KEY,
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("subject_id", pa.string()),  # customer, or region/brand/last four digits
            pa.field("subject_type", pa.string()),
            pa.field("month", pa.date32()),  # its first day; parts the files
            # The first and the last sale of a burst, which began in this month and is not told of beyond its end.
            pa.field(
                "signals",
                _list_of(
                    name=pa.string(), value=pa.float64(), threshold=pa.float64(), first_at=_INSTANT, last_at=_INSTANT
                ),
            ),
            # The state that receipts are folded into. Of cards only sales are counted.
            pa.field(ROWS, pa.int64()),
            pa.field("sales", pa.int64()),
            pa.field("returns", pa.int64()),
            pa.field("sales_cents", pa.int64()),
            pa.field("returned_cents", pa.int64()),  # below zero
            pa.field("moments", _list_of(at=_INSTANT, store_id=pa.int32(), sales=pa.int64())),  # of sales
        ]
    ),
    input=silver_receipts.TABLE,
    columns=(
        "receipt_id",
        "store_id",
        "region_id",
        "receipt_type",
        "purchased_at",
        "purchased_on",
        "customer_id",
        "total_cents",
        "tenders",
    ),
    # Sales are kept one by one, so a receipt that is corrected or goes can be taken out again.
    fold=Fold(_summarise, _combine, _finish, invertible=True),
    # No `slice_by`: a receipt belongs to a customer and cards, which no one column brings together.
    partitioned_by="month",
    personal=Personal.PSEUDONYMOUS,
)
