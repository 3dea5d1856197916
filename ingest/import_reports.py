"""What became of imported files: how many records were new, known, refused or skipped, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg

from configs.settings import Settings
from receipts.database import DatabaseRole, connect
from receipts.errors import InvalidInput, NotFound
from receipts.sql import load_sql

_SQL = load_sql("ingest", "import_reports")
_REASONS = 20  # most frequent ones in a report


@dataclass(frozen=True, slots=True)
class Report:
    """One file content. `records` read so far are new, known (received before), refused, or skipped (no receipts)."""

    content_digest: str  # SHA-256, hex
    format: str
    file_name: str
    started_at: datetime
    finished_at: datetime | None = None
    records: int = 0
    new: int = 0
    known: int = 0
    refused: int = 0
    skipped: int = 0
    broken: str | None = None  # where and why the file cannot be read any further
    reasons: Mapping[str, int] = field(
        default_factory=dict[str, int]
    )  # why records were refused or skipped, and how often

    def after(self, tally: Mapping[str, int], reasons: Iterable[tuple[bool, str]]) -> Report:
        """Return the report after some more records: how many of each kind, and (skipped, reason) of some."""
        counts = Counter(self.reasons)
        counts.update(_worded(skipped, reason) for skipped, reason in reasons)
        sums = {name: getattr(self, name) + count for name, count in tally.items()}
        return replace(self, records=self.records + sum(tally.values()), reasons=dict(counts), **sums)


@dataclass(frozen=True, slots=True)
class Note:
    """A record that became no receipt; `position` is the line or row where it begins."""

    record: int
    position: int
    skipped: bool
    reason: str


async def find_report(connection: psycopg.AsyncConnection[Any], digest: bytes) -> Report:
    """Return the report of a content. Raises NotFound."""
    key = {"content_digest": digest}
    row = await (await connection.execute(_SQL["find_import"], key)).fetchone()
    if row is None:
        raise NotFound("No file with this content was imported.")
    found = await connection.execute(_SQL["list_import_reasons"], {**key, "limit": _REASONS})
    return Report(*row, reasons={_worded(skipped, why): count for skipped, why, count in await found.fetchall()})


def list_reports(settings: Settings, limit: int) -> list[Report]:
    """Return the newest imports, without reasons."""
    with connect(settings, DatabaseRole.INGEST) as connection:
        rows: list[Any] = connection.execute(_SQL["list_imports"], {"limit": limit}).fetchall()
    return [Report(*row) for row in rows]


def show_report(settings: Settings, prefix: str, limit: int) -> tuple[Report, list[Note]]:
    """Return an import and its first refused and skipped records. Raises NotFound, InvalidInput."""
    with connect(settings, DatabaseRole.INGEST) as connection:
        rows: list[Any] = connection.execute(_SQL["list_imports_by_prefix"], {"prefix": prefix.lower()}).fetchall()
        if not rows:
            raise NotFound(f"No imported content has a digest that begins with {prefix}.")
        if len(rows) > 1:
            raise InvalidInput("digest", "more than one begins so; give more digits")
        key = {"content_digest": bytes.fromhex(rows[0][0])}
        reasons: list[Any] = connection.execute(_SQL["list_import_reasons"], {**key, "limit": _REASONS}).fetchall()
        notes: list[Any] = connection.execute(_SQL["list_import_refusals"], {**key, "limit": limit}).fetchall()
    report = Report(*rows[0], reasons={_worded(skipped, why): count for skipped, why, count in reasons})
    return report, [Note(*note) for note in notes]


def _worded(skipped: bool, reason: str) -> str:
    return f"skipped: {reason}" if skipped else f"refused: {reason}"
