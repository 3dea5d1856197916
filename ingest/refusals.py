"""Why a record is refused, said in one sentence that repeats nothing of the record but the names of its fields.

Full card numbers are looked for in every field (PCI DSS 3.4), by the one rule of receipts/card_numbers.py. In a record
that fits its model, receipt ids, money, dates, numbers and choices cannot hold one: their own formats keep it out. A
payload that does not fit has no fields to tell apart: its whole text is read, and every card number in it destroyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

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

_SHORTEST = 13  # digits of a card number
_WIDEST = 1024  # bytes: no card number is longer, with separators of three characters and all of it escaped
_OF_A_NUMBER = b"0123456789abcdefABCDEFnrtu\\ \t\r\n-_./,\x00" + bytes(range(0x80, 0x100))
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


def card_number_field(model: Receipt | Customer | Store, document: str) -> str | None:
    """Return the first field that holds a full card number, if one does. `document` is the model's canonical JSON."""
    if isinstance(model, Receipt):
        if not _may_hold_one(model):
            return None
    elif not contains_card_number(document):
        return None
    return next((path for path, name, text in _leaves(model.model_dump(mode="json")) if _holds_one(name, text)), None)


def beginning(payload: bytes, size: int) -> bytes:
    """Return about the first `size` bytes of a payload that is too long to be held.

    What is cut off must not leave most of a card number behind, which nothing would tell from other digits.
    """
    if len(payload) <= size:
        return payload
    sure = max(size - _WIDEST, 0)
    return payload[:sure] + payload[sure:size].rstrip(_OF_A_NUMBER)


def scrub(payload: bytes) -> tuple[str, bool]:
    """Return a refused payload as text that can be stored, and whether a card number was destroyed in it.

    It is without card numbers, NUL and what is not UTF-8.
    """
    text = payload.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    clean = destroy_card_numbers(text)
    return clean, clean != text


def _may_hold_one(receipt: Receipt) -> bool:
    """Say whether a receipt holds a card number, by reading only what can hold one: this is done for every record."""
    texts = [receipt.operator_id or "", receipt.customer_id or ""]
    texts += [tender.card_brand for tender in receipt.tenders if tender.card_brand]
    for line in receipt.lines:
        texts += (line.description, line.department, line.category, line.unit)
        if len(line.sku) >= _SHORTEST:
            texts.append(f'"sku":"{line.sku}"')  # so named, a product code is told from a card number
    return contains_card_number("|".join(texts))


def _leaves(value: object, path: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the path, the field's name and the text of every value within what JSON can hold."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves(inner, f"{path}.{key}" if path else key, key)
    elif isinstance(value, list):
        for i, inner in enumerate(cast("list[object]", value)):
            yield from _leaves(inner, f"{path}.{i}", name)
    else:
        yield path, name, str(value)


def _holds_one(name: str, text: str) -> bool:
    return contains_card_number(f'"{name}":"{text}"')  # the name tells a product code from a card number


def _describe(detail: ErrorDetails) -> str:
    # Each key by itself first: after the number of a line and a point the digits of a key would read as a fraction.
    path = ".".join(destroy_card_numbers(str(part)) for part in detail["loc"])
    path = destroy_card_numbers(path)[:_LONGEST_PATH]  # cut last: a part of a card number is not found any more
    hint = _HINTS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    if detail["type"] == "json_invalid":
        return hint
    return f"{path}: {hint}" if path else hint
