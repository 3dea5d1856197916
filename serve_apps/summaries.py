"""A receipt in a list: the few facts by which a person recognises it."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson
from pydantic import BaseModel, ConfigDict

_SHOWN_ITEMS = 4


class SummaryRow(NamedTuple):
    """What a query must select, under these names, for a summary."""

    document: str  # the receipt's canonical JSON
    store_name: str
    time_zone: str
    purchased_on: date


class ReceiptSummary(BaseModel):
    """A receipt as lists and search hits show it. `purchased_local` is the store's wall clock."""

    model_config = ConfigDict(frozen=True)

    receipt_id: str
    store_id: int
    store_name: str
    receipt_type: str
    purchased_at: str
    purchased_local: str
    purchased_on: date
    customer_id: str | None
    total_cents: int
    currency: str
    item_count: int
    items: list[str]
    card_last4: list[str]


def facts(row: SummaryRow) -> dict[str, object]:
    """Return the summary of a receipt's row as it is, for answers that hold many. `item_count` is that of its lines."""
    receipt = orjson.loads(row.document)
    instant = datetime.fromisoformat(receipt["purchased_at"])
    lines = receipt["lines"]
    cards = (tender.get("card_last4") for tender in receipt["tenders"])
    return {
        "receipt_id": receipt["receipt_id"],
        "store_id": receipt["store_id"],
        "store_name": row.store_name,
        "receipt_type": receipt["receipt_type"],
        "purchased_at": receipt["purchased_at"],
        "purchased_local": instant.astimezone(ZoneInfo(row.time_zone)).isoformat(timespec="minutes")[:16],
        "purchased_on": row.purchased_on,
        "customer_id": receipt.get("customer_id"),
        "total_cents": receipt["total_cents"],
        "currency": receipt["currency"],
        "item_count": len(lines),
        "items": [line["description"] for line in lines[:_SHOWN_ITEMS]],
        "card_last4": list(dict.fromkeys(card for card in cards if card)),
    }


def summary(row: SummaryRow) -> ReceiptSummary:
    """Return the summary of a receipt's row."""
    return ReceiptSummary.model_validate(facts(row))
