"""Gold burst patterns: who bought much within an hour or two, or returned most of it, told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from data_jobs.declaration import Kind, Personal, Table
from data_jobs.fraud_patterns import KEY, PARTED_BY, SCHEMA, Pattern, amount, frame_of, in_month, served
from data_jobs.tables import gold_shopping_bursts, silver_stores
from data_jobs.tables.gold_shopping_bursts import CARD

_NAME = "gold.burst_patterns"
Row = Mapping[str, Any]


def _patterns(bursts: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Tell of every signal that is given, its times by the clock of the store where it began."""
    zones = dict(read["silver.stores"].select("store_id", "time_zone").iter_rows())
    given = bursts.filter(pl.col("signals").list.len() > 0).explode("signals").unnest("signals")
    rows = given.to_dicts()
    return frame_of(_return_rate(row) if row["first_at"] is None else _burst(row, zones) for row in rows)


def _return_rate(row: Row) -> Pattern:
    sold, returned = row["sales_cents"], -row["returned_cents"]
    return Pattern(
        kind=row["name"],
        subject=row["subject_type"],
        subject_id=row["subject_id"],
        month=row["month"],
        value=row["value"],
        threshold=row["threshold"],
        figures={name: row[name] for name in ("sales", "returns", "sales_cents", "returned_cents")}
        | {"value": row["value"], "threshold": row["threshold"]},
        explanation=f"This customer bought for {amount(sold)} and returned {amount(returned)} in {row['returns']} "
        f"returns {in_month(row['month'])}.",
        receipt_types=("return",),
        receipt_count=row["returns"],
        store_ids=_stores(row["moments"]),
    )


def _burst(row: Row, zones: Mapping[int, str]) -> Pattern:
    first, last = row["first_at"], row["last_at"]
    moments = [moment for moment in row["moments"] if first <= moment["at"] <= last]
    stores, sales = _stores(moments), sum(moment["sales"] for moment in moments)
    zone = ZoneInfo(zones.get(moments[0]["store_id"], "UTC"))
    who = f"Card ending {row['subject_id'][-4:]}" if row["subject_type"] == CARD else "This customer"
    did = "paid" if row["subject_type"] == CARD else "bought"
    if row["name"] == "velocity":
        what = f"{did} {sales} times at {_counted(len(stores), 'store')}"
    else:
        what = f"{'was used' if did == 'paid' else did} at {_counted(len(stores), 'store')}"
    return Pattern(
        kind=row["name"],
        subject=row["subject_type"],
        subject_id=row["subject_id"],
        month=row["month"],
        value=row["value"],
        threshold=row["threshold"],
        figures={
            "value": row["value"],
            "threshold": row["threshold"],
            "sales": sales,
            "stores": len(stores),
            "minutes": round((last - first).total_seconds() / 60),
        },
        explanation=f"{who} {what} {_between(first.astimezone(zone), last.astimezone(zone))}.",
        receipt_types=("sale",),
        receipt_count=sales,
        store_ids=stores,
        first_at=first,
        last_at=last,
    )


def _stores(moments: Iterable[Row]) -> list[int]:
    return sorted({moment["store_id"] for moment in moments})


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _between(first: datetime, last: datetime) -> str:
    """Return when a burst was: on 2026-11-17 between 09:10 and 10:55."""
    if first.date() == last.date():
        return f"on {first:%Y-%m-%d} between {first:%H:%M} and {last:%H:%M}"
    return f"between {first:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M}"


TABLE = Table(
    name=_NAME,
    grain="One row per signal of gold.shopping_bursts: of a customer or a card of a region, and calendar month.",
    key=KEY,
    kind=Kind.DERIVED,
    schema=SCHEMA,
    input=gold_shopping_bursts.TABLE,
    lookups=(silver_stores.TABLE,),
    transform=_patterns,
    partitioned_by=PARTED_BY,
    personal=Personal.PSEUDONYMOUS,
    served_as=served(_NAME),
)
