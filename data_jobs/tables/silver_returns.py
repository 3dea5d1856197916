"""Silver returns: each return receipt beside the receipt of what was returned."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Action, Expectation, Kind, Link, Personal, Table
from data_jobs.tables import silver_receipts

LINKED = "linked"


def business_day(receipt_id: pl.Expr) -> pl.Expr:
    """Return the business date that receipt ids begin with; null for what begins with none."""
    return pl.concat_str(pl.lit("20"), receipt_id.str.slice(0, 6)).str.to_date("%Y%m%d", strict=False)


_DAY, _ORIGINAL_DAY = business_day(pl.col("receipt_id")), business_day(pl.col("original_receipt_id"))
_IS_RETURN = (pl.col("receipt_type") == "return") & _DAY.is_not_null()
_ORIGINAL = pl.when(_ORIGINAL_DAY.is_not_null()).then(pl.col("original_receipt_id"))
_ABOUT = pl.coalesce(_ORIGINAL, pl.col("receipt_id"))


def _returns(receipts: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Put every return among the receipts beside its original, where that is known."""
    returns = receipts.filter(_IS_RETURN).with_columns(
        about_receipt_id=_ABOUT,
        about_month=business_day(_ABOUT).dt.truncate("1mo"),
        original_receipt_id=_ORIGINAL,
        returned_cents=-pl.col("total_cents"),
    )
    originals = read["silver.receipts"].select(
        original_receipt_id="receipt_id",
        original_type="receipt_type",
        original_store_id="store_id",
        original_customer_id="customer_id",
        original_currency="currency",
        original_purchased_at="purchased_at",
        original_purchased_on="purchased_on",
        original_total_cents="total_cents",
    )
    beside = returns.join(originals, on="original_receipt_id", how="left").sort("purchased_at", "receipt_id")
    comparable = pl.when(pl.col("currency") == pl.col("original_currency"))
    returned, total = comparable.then(pl.col("returned_cents")), comparable.then(pl.col("original_total_cents"))
    return beside.with_columns(
        days_between=(pl.col("purchased_on") - pl.col("original_purchased_on")).dt.total_days().cast(pl.Int32),
        share_returned=pl.when(total > 0).then((returned / total).round(4)),
        returned_so_far_cents=comparable.then(returned.fill_null(0).cum_sum().over("about_receipt_id")),
        returns_so_far=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("about_receipt_id"),
        is_last_return=pl.int_range(1, pl.len() + 1).over("about_receipt_id") == pl.len().over("about_receipt_id"),
    ).with_columns(_link())


def _link() -> pl.Expr:
    """Say how a return and its original go together: the first thing that is wrong, or that nothing is."""
    wrong = {
        "unnamed": pl.col("original_receipt_id").is_null(),
        "unknown": pl.col("original_type").is_null(),
        "void": pl.col("original_type") == "void",
        "no_sale": pl.col("original_type") != "sale",
        "other_currency": pl.col("currency") != pl.col("original_currency"),
        "other_customer": pl.col("customer_id") != pl.col("original_customer_id"),
        "before_original": pl.col("purchased_at") < pl.col("original_purchased_at"),
        "exceeds_original": pl.col("returned_so_far_cents") > pl.col("original_total_cents"),
    }
    found = [pl.when(condition).then(pl.lit(name)) for name, condition in wrong.items()]
    return pl.coalesce(*found, pl.lit(LINKED)).alias("link")


def _expected(name: str, sentence: str, *links: str) -> Expectation:
    return Expectation(name, ~pl.col("link").is_in(links), Action.WARN, sentence)


TABLE = Table(
    name="silver.returns",
    grain="One row per return receipt.",
    key=("about_receipt_id", "receipt_id"),  # one version of a return names one original
    kind=Kind.DERIVED,
    schema=pa.schema(
        [
            pa.field("about_receipt_id", pa.string()),  # the original, or the return itself where it names none
            pa.field("receipt_id", pa.string()),
            pa.field("about_month", pa.date32()),  # of the former's business date; parts the files
            pa.field("original_receipt_id", pa.string()),
            pa.field("link", pa.string()),
            pa.field("store_id", pa.int32()),
            pa.field("customer_id", pa.string()),
            pa.field("purchased_on", pa.date32()),
            pa.field("currency", pa.string()),
            pa.field("returned_cents", pa.int64()),
            # Of the original, null where it is not known.
            pa.field("original_store_id", pa.int32()),
            pa.field("original_purchased_on", pa.date32()),
            pa.field("original_total_cents", pa.int64()),
            pa.field("days_between", pa.int32()),
            pa.field("share_returned", pa.float64()),  # of the original's total, by this return
            pa.field("returned_so_far_cents", pa.int64()),  # of the original, by this return and those before it
            pa.field("returns_so_far", pa.int32()),  # that name it, this one and those before it
            pa.field("is_last_return", pa.bool_()),  # of those that name it
        ]
    ),
    input=silver_receipts.TABLE,
    columns=(
        "receipt_id",
        "receipt_type",
        "original_receipt_id",
        "store_id",
        "customer_id",
        "purchased_at",
        "purchased_on",
        "currency",
        "total_cents",
    ),
    transform=_returns,
    link=Link(refers=_IS_RETURN, about=_ABOUT, day=business_day),
    expectations=(
        _expected("names_its_original", "The return names no original.", "unnamed"),
        _expected("original_is_known", "No receipt of the original's number has been received.", "unknown"),
        _expected("original_is_a_sale", "The original is void, or no sale.", "void", "no_sale"),
        _expected(
            "goes_with_its_original",
            "The original is in another currency, of another customer, or later than its return.",
            "other_currency",
            "other_customer",
            "before_original",
        ),
        _expected("within_its_original", "More was returned than the original came to.", "exceeds_original"),
    ),
    # No `slice_by`: a sale and its returns have no column in common.
    partitioned_by="about_month",
    statistics=("store_id", "purchased_on"),
    personal=Personal.PSEUDONYMOUS,
)
