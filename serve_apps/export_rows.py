"""What a file of receipts holds: one row per line item beside its receipt, in columns of one type each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum, auto
from typing import Any, NamedTuple

import orjson


class Kind(Enum):
    """The type of a column, whatever a file's format calls it."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    DAY = auto()
    INSTANT = auto()


class Mark(NamedTuple):
    """Who took a copy out, on each of its rows: a file goes further than whoever it was given to."""

    export_id: str
    exported_by: str


class FoundReceipt(NamedTuple):
    """A receipt as it was read, in the order of the statement."""

    document: str
    purchased_on: date
    store_name: str


_OF_RECEIPT = {
    "receipt_id": Kind.TEXT,
    "receipt_type": Kind.TEXT,
    "store_id": Kind.INTEGER,
    "store_name": Kind.TEXT,
    "register_id": Kind.INTEGER,
    "business_date": Kind.DAY,
    "sequence_number": Kind.INTEGER,
    "purchased_at": Kind.INSTANT,
    "purchased_on": Kind.DAY,  # of the store's clock
    "operator_id": Kind.TEXT,
    "customer_id": Kind.TEXT,
    "currency": Kind.TEXT,
    "subtotal_cents": Kind.INTEGER,
    "discount_cents": Kind.INTEGER,
    "tax_cents": Kind.INTEGER,
    "total_cents": Kind.INTEGER,
    "tenders": Kind.TEXT,
    "card_last4": Kind.TEXT,
    "original_receipt_id": Kind.TEXT,
}
_OF_LINE = {
    "line_number": Kind.INTEGER,
    "sku": Kind.TEXT,
    "description": Kind.TEXT,
    "department": Kind.TEXT,
    "category": Kind.TEXT,
    "quantity": Kind.NUMBER,
    "unit": Kind.TEXT,
    "unit_price_cents": Kind.INTEGER,
    "line_discount_cents": Kind.INTEGER,
    "line_tax_cents": Kind.INTEGER,
    "amount_cents": Kind.INTEGER,
}
COLUMNS = _OF_RECEIPT | _OF_LINE | dict.fromkeys(Mark._fields, Kind.TEXT)


def rows_of(found: FoundReceipt, mark: Mark) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a receipt, their values in the order of COLUMNS."""
    receipt = orjson.loads(found.document)
    tenders = receipt["tenders"]
    told = receipt | {
        "store_name": found.store_name,
        "business_date": date.fromisoformat(receipt["business_date"]),
        "purchased_at": datetime.fromisoformat(receipt["purchased_at"]),
        "purchased_on": found.purchased_on,
        "tenders": "; ".join(f"{one['tender_type']} {one['amount_cents']}" for one in tenders),
        "card_last4": " ".join(one["card_last4"] for one in tenders if "card_last4" in one),
    }
    head = tuple(map(told.get, _OF_RECEIPT))
    for line in receipt["lines"]:
        item = line | {"line_discount_cents": line["discount_cents"], "line_tax_cents": line["tax_cents"]}
        yield (*head, *map(item.get, _OF_LINE), *mark)
