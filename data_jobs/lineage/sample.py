"""A few records of every kind, varied enough that whatever a table makes of them shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from data_jobs.declaration import polars_schema
from receipts import bronze
from receipts.models import Customer, Receipt, Record, Store

_LAST_DAY = date(2026, 8, 18)
_PAIRS = 16  # of receipts on one day in one store
_PRODUCTS = (
    ("840361", "FLUID MILK WHITE ONLY", "GROCERY", "FLUID MILK PRODUCTS", 349),
    ("1029743", "CHIX: ROTISSERIE (HOT)", "DELI", "CHICKEN", 799),
    ("995242", "BANANAS", "PRODUCE", "TROPICAL FRUIT", 59),
    ("1082185", "GIFT WRAP", "", "", 450),
)
_TYPES = ("sale", "sale", "sale", "return", "sale", "void")


def bronze_sample() -> dict[str, pl.DataFrame]:
    """Return rows of every Bronze table by its name."""
    return {
        bronze.STORES.name: _landed((str(store.store_id), store) for store in _stores()),
        bronze.CUSTOMERS.name: _landed((customer.customer_id, customer) for customer in _customers()),
        bronze.RECEIPTS.name: _landed((receipt.receipt_id, receipt) for receipt in _receipts()),
    }


def _landed(records: Iterable[tuple[str, Record]]) -> pl.DataFrame:
    """Put records into envelopes as the drainer does."""
    rows: list[dict[str, Any]] = []
    for number, (key, record) in enumerate(records, 1):
        payload = record.canonical()
        rows.append(
            {
                "record_key": key,
                "store_id": getattr(record, "store_id", None),
                "sequence": number,
                "received_at": datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=number),
                "source": "sample",
                "payload_digest": hashlib.sha256(payload.encode()).hexdigest(),
                "payload": payload,
            }
        )
    return pl.DataFrame(rows, schema=polars_schema(bronze.ENVELOPE))


def _stores() -> list[Store]:
    zones = ("America/New_York", "America/Chicago", "America/Los_Angeles")
    return [
        Store(
            store_id=number,
            name=f"Store {number}",
            aliases=(f"Shop {number}",),
            street=f"{number} Penn Avenue",
            city=f"City {number}",
            state=("PA", "IL", "CA")[number - 1],
            postal_code=f"1520{number}",
            phone=f"412-555-010{number}",
            time_zone=zone,
            region_id=number,
            region=f"Region {number}",
        )
        for number, zone in enumerate(zones, 1)
    ]


def _customers() -> list[Customer]:
    return [
        Customer(
            customer_id=_customer(number),
            first_name=f"Maria{number}",
            last_name=f"Kowalski{number}",
            email=f"maria{number}@example.com",
            phone=f"412-555-016{number}",
            street=f"{number} Highland Avenue",
            city=f"City {number}",
            state="PA",
            postal_code=f"1520{number}",
            customer_since=date(2019, 5, 4 + number),
            home_store_id=1 + number % 3,
        )
        for number in range(5)
    ]


def _receipts() -> list[Receipt]:
    """Return receipts of some months, more and more of them; some are void, and a return names the one before it."""
    receipts: list[Receipt] = []
    for number in range(2 * _PAIRS):
        kind = _TYPES[number % len(_TYPES)]
        day = _LAST_DAY - timedelta(days=(_PAIRS - 1 - number // 2) ** 2)
        receipts.append(_receipt(number, kind, day, receipts[-1].receipt_id if kind == "return" else None))
    return [*receipts, *_suspicious(2 * _PAIRS)]


def _suspicious(first: int) -> list[Receipt]:
    """Return receipts that somebody should look at: sales in a hurry, and returns and voids one after the other."""
    kinds = (*["sale"] * 6, *["return"] * 3, *["void"] * 5)
    receipts = [_receipt(first + place, kind, _LAST_DAY, None) for place, kind in enumerate(kinds)]
    return [
        Receipt.model_validate(
            receipt.model_dump(exclude={"receipt_id"})
            | {
                "customer_id": _customer(4),
                "register_id": 9,
                "store_id": receipt.store_id if receipt.receipt_type == "sale" else 1,
                "purchased_at": datetime(2026, 8, 18, 15, 7 * place % 60, tzinfo=UTC),
            }
        )
        for place, receipt in enumerate(receipts)
    ]


def _receipt(number: int, kind: str, day: date, original: str | None) -> Receipt:
    sign = -1 if kind == "return" else 1
    lines = [_line(number, place, sign) for place in range(1 + number % 3)]
    subtotal, tax = sum(line["amount_cents"] for line in lines), sum(line["tax_cents"] for line in lines)
    card = {"card_brand": "visa", "card_last4": f"{4000 + number % 5}"} if number % 4 else {}
    return Receipt.model_validate(
        {
            "receipt_type": kind,
            "store_id": 1 + number // 2 % 3,
            "register_id": 1 + number % 4,
            "business_date": day.isoformat(),
            "sequence_number": 100 + number,
            "purchased_at": datetime(day.year, day.month, day.day, 6 * (number % 4), number, tzinfo=UTC),
            "operator_id": f"OP{number % 3}",
            "customer_id": _customer(number % 4) if number % 5 else None,
            "currency": "USD",
            "lines": lines,
            "subtotal_cents": subtotal,
            "discount_cents": sum(line["discount_cents"] for line in lines),
            "tax_cents": tax,
            "total_cents": subtotal + tax,
            "tenders": [{"tender_type": "credit" if card else "cash", "amount_cents": subtotal + tax, **card}],
            "original_receipt_id": original,
        }
    )


def _line(number: int, place: int, sign: int) -> dict[str, Any]:
    sku, description, department, category, cents = _PRODUCTS[(number + place) % len(_PRODUCTS)]
    discount = 10 * (number % 3)
    return {
        "line_number": place + 1,
        "sku": sku,
        "description": f"{description} {number % 2}",
        "department": department,
        "category": category,
        "quantity": sign * (1.0 + number % 2),
        "unit": "ea" if place else "kg",
        "unit_price_cents": cents,
        "discount_cents": discount,
        "tax_cents": sign * (number % 4),
        "amount_cents": sign * (cents * (1 + number % 2) - discount),
    }


def _customer(number: int) -> str:
    return f"C{number:07d}"
