"""A pattern: something that somebody should look at, with its figures, a sentence made of them and its strength."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import pyarrow as pa

from data_jobs.declaration import Served, polars_schema

KEY = ("pattern_id",)
PARTED_BY = "month"
SCHEMA = pa.schema(
    [
        pa.field("pattern_id", pa.string()),  # of kind, subject and month: the same when it is made anew
        pa.field("kind", pa.string()),  # the signal's name
        pa.field("subject", pa.string()),
        pa.field("subject_id", pa.string()),
        pa.field(PARTED_BY, pa.date32()),  # its first day; parts the files
        pa.field("score", pa.float64()),  # 0.5 at the threshold, towards 1 far beyond it
        pa.field("figures", pa.string()),  # JSON: what the sentence is made of, each a number
        pa.field("explanation", pa.string()),
        # Which receipts show it: the subject's of these types, in the month or, where told, between two instants.
        pa.field("receipt_types", pa.list_(pa.string())),
        pa.field("receipt_count", pa.int64()),
        pa.field("first_at", pa.timestamp("us", "UTC")),
        pa.field("last_at", pa.timestamp("us", "UTC")),
        pa.field("store_ids", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A signal that a subject gave in a month."""

    kind: str
    subject: str
    subject_id: str
    month: date
    value: float
    threshold: float
    figures: Mapping[str, float]
    explanation: str
    receipt_types: tuple[str, ...]
    receipt_count: int
    store_ids: Iterable[int]
    first_at: datetime | None = None
    last_at: datetime | None = None

    def row(self) -> dict[str, object]:
        """Return it as a row of a table of patterns."""
        named = "\n".join((self.kind, self.subject, self.subject_id, self.month.isoformat()))
        return {
            "pattern_id": hashlib.sha256(named.encode()).hexdigest()[:32],
            "kind": self.kind,
            "subject": self.subject,
            "subject_id": self.subject_id,
            "month": self.month,
            "score": round(self.value / (self.value + self.threshold), 3),
            "figures": json.dumps(dict(self.figures)),
            "explanation": self.explanation,
            "receipt_types": list(self.receipt_types),
            "receipt_count": self.receipt_count,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "store_ids": sorted(set(self.store_ids)),
        }


def frame_of(patterns: Iterable[Pattern]) -> pl.DataFrame:
    """Return patterns as rows of a table."""
    return pl.DataFrame([pattern.row() for pattern in patterns], schema=polars_schema(SCHEMA))


def in_month(month: date) -> str:
    """Return when a pattern was, as a sentence ends: in November 2026."""
    return f"in {month:%B %Y}"


def amount(cents: int) -> str:
    """Return an amount in a lake whose currency no table names: 1,234.50."""
    return f"{cents / 100:,.2f}"


def served(source: str) -> Served:
    """Return how the table of that name is served: all tables of patterns share one relation."""
    kept = ("pattern_id", "kind", "subject", "subject_id", "month", "figures", "explanation")
    return Served(
        "fraud_patterns",
        {
            "source": pl.lit(source),
            **{name: pl.col(name) for name in kept},
            "strength": (pl.col("score") * 1000).round().cast(pl.Int32),  # thousandths
            "receipt_types": pl.col("receipt_types").list.join(","),
            "receipt_count": pl.col("receipt_count"),
            "first_at": pl.col("first_at"),
            "last_at": pl.col("last_at"),
            "store_ids": pl.col("store_ids").cast(pl.List(pl.String)).list.join(","),
        },
    )
