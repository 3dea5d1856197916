"""Rows as CSV (RFC 4180) that a spreadsheet opens without running anything that stands in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

MEDIA_TYPE = "text/csv"
# What makes a spreadsheet take a cell for a formula, also in its full width: OWASP, CSV Injection.
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def written(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as UTF-8, each ended by CRLF. Text that would be a formula is preceded by an apostrophe.

    Numbers stay as they are, also those below zero; None is an empty cell and an instant is in UTC.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in _FORMULA else value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
