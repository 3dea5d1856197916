"""What a till may send: the limits of a record and of a message, and no card number on its disk."""

from __future__ import annotations

import json
from typing import cast

from receipts.card_numbers import DESTROYED, contains_card_number, destroy_card_numbers
from receipts.errors import InvalidInput

BATCH_RECORDS = 100
BATCH_BYTES = 4 * 2**20  # well below the 16 MiB that the gateway receives in one message
_MAX_RECORD_BYTES = 10_420_224  # the most that the Zerobus SDK sends in one call
_MARK = "card_number"
_IDENTIFIERS = {"sku", "customer_id", "phone"}  # a GTIN has up to 14 digits, and one in ten passes for a card
_GTIN_DIGITS = 14


def as_payload(text: str, number: int = 1) -> bytes:
    """Return a record as bytes; raises InvalidInput naming the record's number when it is empty or too large."""
    payload = text.encode()
    if not payload.strip():
        raise InvalidInput("record", f"number {number} is empty")
    if len(payload) > _MAX_RECORD_BYTES:
        raise InvalidInput(
            "record", f"number {number} has {len(payload)} bytes; at most {_MAX_RECORD_BYTES} can be sent"
        )
    return payload


def without_card_numbers(text: str) -> str:
    """Return a record as it may be stored; one without a full card number comes back as it is.

    The gateway refuses a record with a card number to its quarantine, digits destroyed. So does the till before its
    disk sees them, by the gateway's rule: a sale must not be refused here that is accepted there. What was destroyed
    is marked by a field that no record has, so that the gateway refuses the rest.
    """
    if not contains_card_number(text):
        return text
    try:
        record = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return destroy_card_numbers(text)
    cleaned = _clean(record, "")
    if cleaned == record:
        return text
    marked = {**cleaned, _MARK: DESTROYED} if isinstance(cleaned, dict) else cleaned
    return json.dumps(marked, ensure_ascii=False)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that comes twice: one of its values would be read by nobody, and could hold anything."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError
    return record


def _clean(value: object, key: str) -> object:
    match value:
        case dict():
            fields = cast("dict[str, object]", value)
            return {destroy_card_numbers(name): _clean(below, name) for name, below in fields.items()}
        case list():
            return [_clean(below, key) for below in cast("list[object]", value)]
        case str():
            return value if _is_product(value, key) else destroy_card_numbers(value)
        case int() if not isinstance(value, bool):
            digits = destroy_card_numbers(str(value))
            return value if digits == str(value) else digits
        case _:
            return value


def _is_product(text: str, key: str) -> bool:
    return key in _IDENTIFIERS and sum(map(str.isdigit, text)) <= _GTIN_DIGITS
