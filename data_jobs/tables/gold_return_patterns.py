"""Gold return patterns: receipts that were used for more than one return, beyond what was paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from data_jobs.declaration import Kind, Personal, Table
from data_jobs.fraud_patterns import KEY, PARTED_BY, SCHEMA, Pattern, amount, frame_of, served
from data_jobs.tables import silver_returns
from receipts.identity import display

RECEIPT = "receipt"
_NAME = "gold.return_patterns"
_WHOLE = 1.0  # of the original


def _patterns(returns: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Tell of each original at its last return."""
    reused = (
        pl.col("is_last_return")
        & (pl.col("returns_so_far") > 1)
        & (pl.col("original_total_cents") > 0)
        & (pl.col("returned_so_far_cents") > pl.col("original_total_cents"))
    )
    return frame_of(_pattern(row) for row in returns.filter(reused).to_dicts())


def _pattern(row: Mapping[str, Any]) -> Pattern:
    total, returned, returns = row["original_total_cents"], row["returned_so_far_cents"], row["returns_so_far"]
    share = round(returned / total, 4)
    return Pattern(
        kind="return_reuse",
        subject=RECEIPT,
        subject_id=row["about_receipt_id"],
        month=row["about_month"],
        value=share,
        threshold=_WHOLE,
        figures={
            "value": share,
            "threshold": _WHOLE,
            "returns": returns,
            "returned_cents": returned,
            "original_total_cents": total,
        },
        explanation=f"Receipt {display(row['about_receipt_id'])} of {amount(total)} was used for {returns} returns of "
        f"{amount(returned)} in all, the last on {row['purchased_on']}.",
        receipt_types=("sale", "return"),
        receipt_count=returns + 1,
        store_ids=[row["store_id"], row["original_store_id"]],
    )


TABLE = Table(
    name=_NAME,
    grain="One row per receipt of which more was returned than it came to, in several returns.",
    key=KEY,
    kind=Kind.DERIVED,
    schema=SCHEMA,
    input=silver_returns.TABLE,
    transform=_patterns,
    partitioned_by=PARTED_BY,
    personal=Personal.PSEUDONYMOUS,
    served_as=served(_NAME),
)
