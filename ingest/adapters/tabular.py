"""Tables with a row for each line item, read as receipts by a mapping of their columns.

The rows of one receipt must stand together, as an export sorted by receipt has them; memory then holds one receipt and
a mark of each key (about 70 MB for a million receipts), by which rows that come later are noticed: those are refused,
because half a receipt must not replace the other half.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingest.adapters.found import Found, ZoneOf
from ingest.adapters.mapping import ColumnMapping, LineValues, ReceiptValues, Row, Value, cell_text
from ingest.adapters.rows import Located, csv_rows, parquet_rows
from ingest.adapters.values import exact_cents, instant, read_day, read_decimal, read_time, read_whole, rounded_cents
from receipts.errors import InvalidInput
from receipts.models import MAX_LINES
from receipts.money import EXPONENTS

_APART = "The rows of this receipt do not stand together; sort the file by receipt."


@dataclass(slots=True)
class _Gathering:
    """The rows of the receipt that is being read; one row beyond the most is kept, so that the validation sees it."""

    key: tuple[str, ...]
    rows: list[Located] = field(default_factory=list[Located])
    problem: str = ""

    def add(self, located: Located) -> None:
        if len(self.rows) <= MAX_LINES:
            self.rows.append(located)


def read_csv(path: Path, mapping: ColumnMapping, zone_of: ZoneOf) -> Iterator[Found]:
    """Yield the receipts of a CSV file in its order. Raises BrokenFile, InvalidInput."""
    return _receipts(csv_rows(path, mapping), mapping, zone_of)


def read_parquet(path: Path, mapping: ColumnMapping, zone_of: ZoneOf) -> Iterator[Found]:
    """Yield the receipts of a Parquet file in its order. Raises BrokenFile, InvalidInput."""
    return _receipts(parquet_rows(path, mapping), mapping, zone_of)


def _receipts(rows: Iterator[Located], mapping: ColumnMapping, zone_of: ZoneOf) -> Iterator[Found]:
    for gathered in _together(rows, mapping):
        first, done = gathered.rows[0], gathered.rows[-1].done_bytes
        together = [located.row for located in gathered.rows]
        payload, problem = "", gathered.problem or _no_receipt(together, mapping)
        if not problem:
            try:
                payload = json.dumps(_receipt(together, mapping, zone_of))
            except InvalidInput as error:
                problem = f"{error}."
        if problem:
            payload = json.dumps([_as_text(row) for row in together])
        yield Found(first.position, done, payload, problem)


def _no_receipt(rows: list[Row], mapping: ColumnMapping) -> str:
    return next((kind.reason for kind in mapping.no_receipts if kind.holds(rows)), "")


def _together(rows: Iterator[Located], mapping: ColumnMapping) -> Iterator[_Gathering]:
    """Yield the rows of one receipt after the other.

    A row whose cells cannot be told apart may belong to the receipt before or after it: both are refused with it.
    """
    seen: set[bytes] = set()
    current: _Gathering | None = None
    spoilt = ""
    for located in rows:
        if located.problem:
            spoilt = f"Line {located.position} {located.problem}; it may belong to this receipt."
            if current is not None:
                current.problem = current.problem or spoilt
            else:
                yield _Gathering((), [located], spoilt)
            continue
        key = _key(located.row, mapping.receipt)
        if current is None or key != current.key:
            if current is not None:
                yield current
            mark = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
            current = _Gathering(key, problem=_APART if mark in seen else spoilt)
            seen.add(mark)
        elif spoilt:
            current.problem = current.problem or spoilt
        spoilt = ""
        current.add(located)
    if current is not None:
        yield current


def _key(row: Row, parts: ReceiptValues) -> tuple[str, ...]:
    """Return what rows of one receipt have in common, whether or not it is a key that a receipt can have."""
    try:
        day = _iso(parts.business_date, row, "business_date")[:10]
    except InvalidInput:
        day = parts.business_date.text(row)
    numbers = (parts.store_id, parts.register_id, parts.sequence_number)
    return day, *(value.text(row).lstrip("0") for value in numbers)


def _receipt(rows: list[Row], mapping: ColumnMapping, zone_of: ZoneOf) -> dict[str, Any]:
    """Return a receipt as JSON fields. Raises InvalidInput naming row and field."""
    parts, first = mapping.receipt, rows[0]
    currency = parts.currency.text(first)
    store_id = read_whole("store_id", parts.store_id.text(first))
    lines = [_line(row, number, mapping, currency) for number, row in enumerate(rows, 1)]
    subtotal = sum(line["amount_cents"] for line in lines)
    tax = _money("tax", parts.tax, first, mapping, currency)
    tax = sum(line["tax_cents"] for line in lines) if tax is None else tax
    total = _money("total", parts.total, first, mapping, currency)
    receipt_type = parts.receipt_type.text(first)
    sums = {"subtotal_cents": subtotal, "tax_cents": tax, "total_cents": subtotal + tax if total is None else total}
    zone = ZoneInfo(mapping.time_zone) if mapping.time_zone else zone_of(store_id)
    return {
        "receipt_type": receipt_type,
        "store_id": store_id,
        "register_id": read_whole("register_id", parts.register_id.text(first)),
        "business_date": str(read_day("business_date", _iso(parts.business_date, first, "business_date"))),
        "sequence_number": read_whole("sequence_number", parts.sequence_number.text(first)),
        "purchased_at": instant(
            "purchased_at", read_time("purchased_at", _iso(parts.purchased_at, first, "purchased_at")), zone
        ),
        "operator_id": _optional(parts.operator_id, first),
        "customer_id": _optional(parts.customer_id, first),
        "currency": currency,
        "lines": lines,
        **sums,
        "discount_cents": sum(line["discount_cents"] for line in lines),
        "tenders": [] if receipt_type == "void" else [_tender(first, mapping, sums["total_cents"])],
        "original_receipt_id": _optional(parts.original_receipt_id, first),
    }


def _line(row: Row, number: int, mapping: ColumnMapping, currency: str) -> dict[str, Any]:
    parts: LineValues = mapping.line
    at = f"lines.{number - 1}."
    quantity = read_decimal(f"{at}quantity", _plain(parts.quantity, row, mapping))
    price = _decimal(f"{at}unit_price", parts.unit_price, row, mapping, currency) or Decimal(0)
    discount = _money(f"{at}discount", parts.discount, row, mapping, currency) or 0
    amount = _money(f"{at}amount", parts.amount, row, mapping, currency)
    own = {name: _optional(getattr(parts, name), row) for name in ("department", "category", "unit")}
    return {
        "line_number": number,
        "sku": parts.sku.text(row),
        "description": parts.description.text(row),
        **{name: text for name, text in own.items() if text},
        "quantity": float(quantity),
        "unit_price_cents": rounded_cents(price, currency),
        "discount_cents": discount,
        "tax_cents": _money(f"{at}tax", parts.tax, row, mapping, currency) or 0,
        "amount_cents": rounded_cents(price * quantity, currency) - discount if amount is None else amount,
    }


def _tender(row: Row, mapping: ColumnMapping, total: int) -> dict[str, Any]:
    parts = mapping.tender
    brand, last4 = _optional(parts.card_brand, row), _optional(parts.card_last4, row)
    card = {"card_brand": brand, "card_last4": last4}
    return {"tender_type": parts.tender_type.text(row), "amount_cents": total, **{k: v for k, v in card.items() if v}}


def _plain(value: Value, row: Row, mapping: ColumnMapping) -> str:
    """Return a number as it would be written with a decimal point and nothing else."""
    text, numbers = value.text(row), mapping.numbers
    if isinstance(row.get(value.column), int | float | Decimal) and not isinstance(row.get(value.column), bool):
        return text  # a number already: no way of writing it to undo
    if numbers.thousands:
        text = text.replace(numbers.thousands, "")
    return text.replace(numbers.decimal, ".") if numbers.decimal != "." else text


def _decimal(at: str, value: Value | None, row: Row, mapping: ColumnMapping, currency: str) -> Decimal | None:
    """Return an amount in major units; None where the field is not mapped."""
    if value is None:
        return None
    amount = read_decimal(at, _plain(value, row, mapping))
    return amount.scaleb(-EXPONENTS.get(currency, 2)) if mapping.numbers.money == "minor" else amount


def _money(at: str, value: Value | None, row: Row, mapping: ColumnMapping, currency: str) -> int | None:
    amount = _decimal(at, value, row, mapping, currency)
    return None if amount is None else exact_cents(at, amount, currency)


def _iso(value: Value, row: Row, field_name: str) -> str:
    """Return a date or time as ISO text; `format` is for text, a cell of a time type needs none."""
    text = value.text(row)
    if not value.format or isinstance(row.get(value.column), datetime):
        return text
    try:
        return datetime.strptime(text, value.format).isoformat()  # noqa: DTZ007  local time: its zone comes next
    except ValueError:
        raise InvalidInput(field_name, f"expected a time written as {value.format}") from None


def _optional(value: Value | None, row: Row) -> str | None:
    return (value.text(row) or None) if value is not None else None


def _as_text(row: Row) -> dict[str, str]:
    return {name: cell_text(cell) for name, cell in row.items()}
