"""Gold fraud patterns: each signal of a month's sums, told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from data_jobs.declaration import Kind, Personal, Table
from data_jobs.fraud_patterns import KEY, PARTED_BY, SCHEMA, Pattern, amount, frame_of, in_month, served
from data_jobs.tables import gold_fraud_signals
from data_jobs.tables.gold_fraud_signals import CARD, CUSTOMER, OPERATOR, REGISTER

_NAME = "gold.fraud_patterns"
Row = Mapping[str, Any]

# What each signal means, of a row of gold.fraud_signals with the signal's value.
SENTENCES: Mapping[str, Callable[[Row], str]] = {
    "many_returns": lambda row: f"made {row['returns']} returns, worth {amount(-row['returned_cents'])},",
    "returns_without_original": lambda row: f"returned goods {row['unlinked_returns']} times without a receipt",
    "returns_at_many_stores": lambda row: f"returned goods at {len(row['by_store'])} stores",
    "one_card_for_many_customers": lambda row: f"took the refunds of {len(row['by_customer'])} customers",
    "voided_share": lambda row: f"voided {row['voids']} of {row['rows']} receipts",
    "returned_share": lambda row: (
        f"paid back {amount(-row['returned_cents'])} in {row['returns']} returns, having sold for "
        f"{amount(row['sales_cents'])},"
    ),
    "unlinked_share_of_returns": lambda row: (
        f"took back {row['unlinked_returns']} of {row['returns']} returns without a receipt"
    ),
}
_COUNTED = {"voided_share": "voids", "returns_without_original": "unlinked_returns",
            "unlinked_share_of_returns": "unlinked_returns"}  # fmt: skip
_FIGURES = ("sales", "returns", "voids", "sales_cents", "returned_cents", "unlinked_returns")


def _patterns(signals: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Tell of every signal that is given."""
    given = signals.filter(pl.col("signals").list.len() > 0).explode("signals").unnest("signals")
    return frame_of(_pattern(row) for row in given.to_dicts())


def _pattern(row: Row) -> Pattern:
    kind, subject, subject_id = row["name"], row["subject_type"], row["subject_id"]
    counts_only_returns = subject in {CUSTOMER, CARD}
    figures = {name: row[name] for name in _FIGURES if not (counts_only_returns and "sales" in name)}
    store_ids = [each["store_id"] for each in row["by_store"]] or [int(subject_id.split("/")[0])]
    return Pattern(
        kind=kind,
        subject=subject,
        subject_id=subject_id,
        month=row["month"],
        value=row["value"],
        threshold=row["threshold"],
        figures={"value": row["value"], "threshold": row["threshold"], **figures},
        explanation=f"{_who(subject, subject_id)} {SENTENCES.get(kind, _untold)(row)} {in_month(row['month'])}.",
        receipt_types=("void",) if kind == "voided_share" else ("return",),
        receipt_count=row[_COUNTED.get(kind, "returns")],
        store_ids=store_ids,
    )


def _untold(row: Row) -> str:
    return f"gave the signal {row['name']}"


def _who(subject: str, subject_id: str) -> str:
    if subject == CUSTOMER:
        return "This customer"
    store, _, part = subject_id.partition("/")
    name = {CARD: "A card ending", REGISTER: "Register", OPERATOR: "Operator"}[subject]
    return f"{name} {part} {'at' if subject == CARD else 'of'} store {store}"


TABLE = Table(
    name=_NAME,
    grain="One row per signal of gold.fraud_signals: of a subject and calendar month.",
    key=KEY,
    kind=Kind.DERIVED,
    schema=SCHEMA,
    input=gold_fraud_signals.TABLE,
    transform=_patterns,
    partitioned_by=PARTED_BY,
    personal=Personal.PSEUDONYMOUS,
    served_as=served(_NAME),
)
