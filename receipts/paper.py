"""A receipt as people read it on paper: equal lines put together, and the words for how it was paid and when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from receipts.models import Line, Tender


@dataclass(frozen=True, slots=True)
class PaperLine:
    """Equal lines of a receipt put together: what was bought how often, and what it cost before its discount."""

    line: Line
    times: int
    gross_cents: int
    discount_cents: int
    marked: bool


def group_lines(lines: Sequence[Line], marked: Collection[int] = ()) -> list[PaperLine]:
    """Put equal lines together in the order in which they first stand on the receipt; `marked` holds line numbers."""
    groups: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        key = (line.sku, line.description, line.quantity, line.unit, line.amount_cents, line.discount_cents)
        groups.setdefault(key, []).append(line)
    return [
        PaperLine(
            line=group[0],
            times=len(group),
            gross_cents=sum(line.amount_cents + line.discount_cents for line in group),
            discount_cents=sum(line.discount_cents for line in group),
            marked=any(line.line_number in marked for line in group),
        )
        for group in groups.values()
    ]


def tender_name(tender: Tender) -> str:
    """Return what a payment is called on paper: the card's brand, or how it was paid."""
    name = (tender.card_brand or tender.tender_type).replace("_", " ")
    return name.upper() if len(name) <= 3 else name.title() if name.islower() else name


def clock(value: datetime) -> str:
    """Return a time of day: 6:05 PM."""
    return f"{value.hour % 12 or 12}:{value:%M} {'AM' if value.hour < 12 else 'PM'}"
