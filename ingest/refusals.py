"""Why a record is refused, said in one sentence that repeats nothing of the record but the names of its fields.

Where full card numbers are looked for (PCI DSS 3.4):
- in text that people or tills type (descriptions, names, addresses, operator, card brand ...): any length that
  receipts/card_numbers.py knows;
- in identifiers (sku, customer_id, phone): from 15 digits on, because a GTIN has up to 14 and one in ten passes the
  Luhn check by chance;
- nowhere in receipt ids, money, dates and numbers: their own formats keep card numbers out.
A payload that does not fit its model has no fields to tell apart: every card number is destroyed in its whole text.
"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from receipts.card_numbers import contains_card_number, destroy_card_numbers
from receipts.models import Customer, Receipt, Store

# The kinds: what ingest.quarantine is filtered by and the metrics are counted by.
MALFORMED = "malformed"  # does not decode or does not fit its model
CARD_NUMBER = "card_number"  # held a full card number, whatever else was wrong with it
UNKNOWN_STORE = "unknown_store"  # judged again once the store's record has come
FOREIGN_STORE = "foreign_store"  # of a store that the sender's credential does not cover
TOO_LARGE = "too_large"
DATABASE = "database"  # valid, but Postgres did not take it
# What the sentence of each kind says and no other sentence does: Bronze keeps the sentence alone.
_MARKS = {
    CARD_NUMBER: "full card number",
    UNKNOWN_STORE: "is not known; send its store record, then replay this one",
    FOREIGN_STORE: "is not one that the sender's credential covers",
    TOO_LARGE: "are accepted, and only those are held",
    DATABASE: "The database does not accept this record",
}
KINDS = (MALFORMED, *_MARKS)

_GTIN_DIGITS = 14
_LONGEST_PATH = 80  # characters: a path is made of the sender's keys, which may be anything
_HINTS = {
    "extra_forbidden": "is not a field of this record",
    "missing": "is required",
    "json_invalid": "The record is not valid JSON",
}


def kind_of(reason: str) -> str:
    """Return the kind of a refusal that is known by its sentence only."""
    return next((kind for kind, mark in _MARKS.items() if mark in reason), MALFORMED)


def card_number(field: str) -> str:
    """Say that a field held a card number."""
    return f"{field}: holds a {_MARKS[CARD_NUMBER]}, which is never accepted."


def destroyed_too(reason: str) -> str:
    """Say beside another reason that a card number was destroyed."""
    return reason if _MARKS[CARD_NUMBER] in reason else f"{reason} A {_MARKS[CARD_NUMBER]} in it was destroyed."


def unknown_store(field: str, store_id: int | None) -> str:
    """Say that a record waits for its store."""
    return f"{field}: store {store_id} {_MARKS[UNKNOWN_STORE]}."


def foreign_store(store_id: int) -> str:
    """Say that the sender may not write records of this store."""
    return f"store_id: store {store_id} {_MARKS[FOREIGN_STORE]}."


def too_large(size: int, most: int) -> str:
    """Say how large a record was, in bytes."""
    return f"The record has {size} bytes; at most {most} {_MARKS[TOO_LARGE]}."


def database(sqlstate: str | None) -> str:
    """Say by which error Postgres refused a valid record."""
    return f"{_MARKS[DATABASE]} (SQLSTATE {sqlstate})."


def sentence(error: ValidationError) -> str:
    """Return what the first problem is, and how many more there are; no value of the record is repeated."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    first = _describe(details[0])
    more = f" ({len(details) - 1} more wrong)" if len(details) > 1 else ""
    return destroy_card_numbers(f"{first}{more}.")


def card_number_field(model: Receipt | Customer | Store) -> str | None:
    """Return the first field that holds a full card number, if one does."""
    if isinstance(model, Receipt):
        return _receipt_field(model)
    texts = model.model_dump(mode="json", include=_PERSONAL if isinstance(model, Customer) else _PLACE)
    for name, value in texts.items():
        text = " | ".join(value) if isinstance(value, list) else str(value)
        if _holds_number(text, identifier=name in _IDENTIFIERS):
            return name
    return None


def scrub(payload: bytes) -> tuple[str, bool]:
    """Return a refused payload as text that can be stored, and whether a card number was destroyed in it.

    It is without card numbers, NUL and what is not UTF-8.
    """
    text = payload.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    clean = destroy_card_numbers(text)
    return clean, clean != text


_PERSONAL = {"customer_id", "first_name", "last_name", "email", "phone", "street", "city", "state", "postal_code"}
_PLACE = {"name", "aliases", "street", "city", "state", "postal_code", "phone", "region"}
_IDENTIFIERS = {"customer_id", "phone"}


def _receipt_field(receipt: Receipt) -> str | None:
    if _holds_number(receipt.operator_id or ""):
        return "operator_id"
    if _holds_number(receipt.customer_id or "", identifier=True):
        return "customer_id"
    for i, tender in enumerate(receipt.tenders):
        if _holds_number(tender.card_brand or ""):
            return f"tenders.{i}.card_brand"
    for i, line in enumerate(receipt.lines):
        if _holds_number(f"{line.description} | {line.department} | {line.category} | {line.unit}"):
            return f"lines.{i}.description"
        if len(line.sku) > _GTIN_DIGITS and _holds_number(line.sku, identifier=True):
            return f"lines.{i}.sku"
    return None


def _holds_number(text: str, *, identifier: bool = False) -> bool:
    if identifier and sum(map(str.isdigit, text)) <= _GTIN_DIGITS:
        return False
    return contains_card_number(text)


def _describe(detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"])[:_LONGEST_PATH]
    hint = _HINTS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    if detail["type"] == "json_invalid":
        return hint
    return f"{path}: {hint}" if path else hint
