"""Gold fraud signals: whose returns and voids somebody should look at, month by month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from data_jobs.declaration import SIGN, Fold, Kind, Personal, Table
from data_jobs.folds import ROWS, present
from data_jobs.tables import silver_receipts

CUSTOMER, CARD, REGISTER, OPERATOR = "customer", "card", "register", "operator"
_TILL = (REGISTER, OPERATOR)
_KEY = ("subject_id", "subject_type", "month")
_SUMS = (ROWS, "sales", "returns", "voids", "sales_cents", "returned_cents", "unlinked_returns")
_LISTS = {"by_store": "store_id", "by_customer": "customer_id"}  # returns by what; entries of none are left out


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Something worth a look: a figure of a subject's month that reaches a threshold, where there is `enough` of it."""

    name: str
    subject_types: tuple[str, ...]
    value: pl.Expr
    threshold: float
    enough: pl.Expr = pl.lit(value=True)  # noqa: RUF009  an expression is immutable


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then((part / whole).round(4)).otherwise(1.0)


_SEVERAL = 5  # fewer make no share worth telling
_RETURNS, _VOIDS, _UNLINKED = pl.col("returns"), pl.col("voids"), pl.col("unlinked_returns")
SIGNALS = (
    Signal("many_returns", (CUSTOMER,), _RETURNS, 5),
    Signal("returns_without_original", (CUSTOMER,), _UNLINKED, 3),
    Signal("returns_at_many_stores", (CUSTOMER,), pl.col("by_store").list.len(), 3),
    Signal("one_card_for_many_customers", (CARD,), pl.col("by_customer").list.len(), 3),
    Signal("voided_share", _TILL, _share(_VOIDS, pl.col(ROWS)), 0.05, _VOIDS >= _SEVERAL),
    Signal(
        "returned_share",
        _TILL,
        _share(-pl.col("returned_cents"), pl.col("sales_cents")),
        0.25,
        _RETURNS >= _SEVERAL,
    ),
    Signal("unlinked_share_of_returns", _TILL, _share(_UNLINKED, _RETURNS), 0.5, _UNLINKED >= _SEVERAL),
)


def _summarise(receipts: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return signed sums of every subject among the receipts: all of a till, returns of a customer and a card."""
    facts = _facts(receipts)
    returns = facts.filter(pl.col("receipt_type") == "return")
    cards = returns.explode("card_last4", empty_as_null=False).drop_nulls("card_last4")
    customers = _of(CUSTOMER, returns.drop_nulls("customer_id"), pl.col("customer_id"))
    cards = _of(CARD, cards, pl.concat_str("store_id", "card_last4", separator="/"))
    registers = _of(REGISTER, facts, pl.concat_str("store_id", "register_id", separator="/"))
    operators = _of(OPERATOR, facts.drop_nulls("operator_id"), pl.concat_str("store_id", "operator_id", separator="/"))
    subjects = pl.concat([frame.select(*_KEY, *_SUMS) for frame in (customers, cards, registers, operators)])
    entries = {
        "by_store": customers.select(*_KEY, "store_id", "returns"),
        "by_customer": cards.drop_nulls("customer_id").select(*_KEY, "customer_id", "returns"),
    }
    return _with_lists(subjects, entries)


def _facts(receipts: pl.DataFrame) -> pl.DataFrame:
    """Return what each receipt adds to its subjects, or takes from them."""
    sale, back, void = (pl.col("receipt_type") == kind for kind in ("sale", "return", "void"))
    sign, cents = pl.col(SIGN).cast(pl.Int64), pl.col("total_cents")
    return receipts.with_columns(
        month=pl.col("purchased_on").dt.truncate("1mo"),
        rows=sign,
        sales=sale * sign,
        returns=back * sign,
        voids=void * sign,
        sales_cents=sale * cents * sign,
        returned_cents=back * cents * sign,
        unlinked_returns=(back & pl.col("original_receipt_id").is_null()) * sign,
    )


def _of(subject_type: str, facts: pl.DataFrame, subject_id: pl.Expr) -> pl.DataFrame:
    return facts.with_columns(subject_id.alias("subject_id"), pl.lit(subject_type).alias("subject_type"))


def _combine(states: pl.DataFrame) -> pl.DataFrame:
    """Merge states of the same subjects and months."""
    entries = {name: states.select(*_KEY, name).explode(name, empty_as_null=False).unnest(name) for name in _LISTS}
    return _with_lists(states, entries)


def _with_lists(subjects: pl.DataFrame, entries: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Add up sums and entries by key; an entry below zero waits for what it is taken from."""
    summed = subjects.group_by(_KEY).agg(pl.col(_SUMS).sum())
    for name, column in _LISTS.items():
        counted = entries[name].group_by(*_KEY, column).agg(pl.col("returns").sum()).filter(pl.col("returns") != 0)
        listed = counted.group_by(_KEY).agg(pl.struct(column, "returns").sort_by(column).alias(name))
        summed = summed.join(listed, on=_KEY, how="left").with_columns(pl.col(name).fill_null([]))
    return summed


def _finish(states: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Say which signals each subject's month gives."""
    given = [
        pl.when(pl.col("subject_type").is_in(each.subject_types) & each.enough & (each.value >= each.threshold)).then(
            pl.struct(
                name=pl.lit(each.name),
                value=each.value.cast(pl.Float64),
                threshold=pl.lit(each.threshold, dtype=pl.Float64),
            )
        )
        for each in SIGNALS
    ]
    return present(states).with_columns(signals=pl.concat_list(given).list.drop_nulls())


def _list_of(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind) for name, kind in fields.items()]))


TABLE = Table(
    name="gold.fraud_signals",
    grain="One row per subject and calendar month of the stores' days: a register or an operator of a store "
    "with any receipt, or a customer or a card at a store with a return.",
    key=_KEY,
    kind=Kind.FOLDED,
    schema=pa.schema(
        [
            pa.field("subject_id", pa.string()),  # customer, store/register, store/operator or store/last four digits
            pa.field("subject_type", pa.string()),
            pa.field("month", pa.date32()),  # its first day; parts the files
            pa.field("signals", _list_of(name=pa.string(), value=pa.float64(), threshold=pa.float64())),
            # The state that receipts are folded into. Of customers and cards only returns are counted.
            pa.field(ROWS, pa.int64()),  # receipts of any type
            pa.field("sales", pa.int64()),
            pa.field("returns", pa.int64()),
            pa.field("voids", pa.int64()),
            pa.field("sales_cents", pa.int64()),
            pa.field("returned_cents", pa.int64()),  # below zero
            pa.field("unlinked_returns", pa.int64()),  # that name no original
            pa.field("by_store", _list_of(store_id=pa.int32(), returns=pa.int64())),  # of a customer
            pa.field("by_customer", _list_of(customer_id=pa.string(), returns=pa.int64())),  # of a card
        ]
    ),
    input=silver_receipts.TABLE,
    columns=(
        "receipt_id",
        "store_id",
        "register_id",
        "operator_id",
        "receipt_type",
        "purchased_on",
        "customer_id",
        "total_cents",
        "card_last4",
        "original_receipt_id",
    ),
    # Stores and customers are counted one by one, so a receipt that is corrected or goes can be taken out again.
    fold=Fold(_summarise, _combine, _finish, invertible=True),
    # No `slice_by`: a receipt belongs to a customer, a till and cards, which no one column brings together.
    partitioned_by="month",
    personal=Personal.PSEUDONYMOUS,
)
