"""From the bytes a till sent to a record to store, or to a refusal with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from ingest import refusals
from ingest.access import Claims
from ingest.columns import customer_row, receipt_row, store_row
from ingest.records import Incoming, OutboxRow, StorePlace
from receipts import bronze
from receipts.models import Customer, Receipt, Store

_MODELS: Mapping[str, type[Receipt | Customer | Store]] = {
    bronze.RECEIPTS.name: Receipt,
    bronze.CUSTOMERS.name: Customer,
    bronze.STORES.name: Store,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where records came from and when; the same for all records of one message."""

    bronze_table: str
    source: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Parsed:
    """A payload that fits its model; its store has not been looked up yet."""

    model: Receipt | Customer | Store
    document: str

    @property
    def needs_store(self) -> int | None:
        """Return the store that must be known for this record to be accepted."""
        if isinstance(self.model, Store):
            return None
        return self.model.store_id if isinstance(self.model, Receipt) else self.model.home_store_id


def parse(payload: bytes, origin: Origin, max_bytes: int) -> Parsed | Incoming:
    """Read one JSON record; a payload that cannot be accepted comes back as a refused record."""
    if not payload.strip():
        return refuse(payload, "The record is empty.", origin)
    if len(payload) > max_bytes:
        reason = refusals.too_large(len(payload), max_bytes)
        return refuse(refusals.beginning(payload, max_bytes), reason, origin)
    try:
        model = _MODELS[origin.bronze_table].model_validate_json(payload)
    except ValidationError as error:
        return refuse(payload, refusals.sentence(error), origin)
    document = model.canonical()
    field = refusals.card_number_field(model, document)
    if field is not None:
        return refuse(payload, refusals.card_number(field), origin)
    return Parsed(model, document)


def place(parsed: Parsed, stores: Mapping[int, StorePlace], origin: Origin) -> Incoming:
    """Complete a parsed record with what its store knows; refuse it when its store is not in `stores`."""
    model, document = parsed.model, parsed.document
    digest = hashlib.sha256(document.encode()).digest()
    if isinstance(model, Store):
        bronze_row = _bronze_row(origin, str(model.store_id), model.store_id, digest, document)
        return Incoming(bronze_row, store_row(model, document, digest))
    if isinstance(model, Customer):
        bronze_row = _bronze_row(origin, model.customer_id, model.home_store_id, digest, document)
        home = stores.get(model.home_store_id)
        return (
            _unknown("home_store_id", bronze_row)
            if home is None
            else Incoming(bronze_row, customer_row(model, home, digest))
        )
    bronze_row = _bronze_row(origin, model.receipt_id, model.store_id, digest, document)
    store = stores.get(model.store_id)
    if store is None:
        return _unknown("store_id", bronze_row)
    return Incoming(bronze_row, receipt_row(model, store, document, digest, origin.received_at))


def refuse(payload: bytes, reason: str, origin: Origin) -> Incoming:
    """Return a refused record: its text without card numbers, and why; its kind follows from the reason."""
    text, destroyed = refusals.scrub(payload)
    if destroyed:
        reason = refusals.destroyed_too(reason)
    digest = hashlib.sha256(text.encode()).digest()
    row = OutboxRow(origin.bronze_table, None, None, origin.received_at, origin.source, digest, text, reason)
    return Incoming(row._replace(kind=refusals.kind_of(reason)))


def refuse_foreign(record: Incoming, claims: Claims) -> Incoming:
    """Return the record, refused when its store is not one that the sender may write."""
    store_id = record.bronze.store_id
    if store_id is None or claims.may_write(store_id):
        return record
    reason = refusals.foreign_store(store_id)
    return Incoming(record.bronze._replace(refusal=reason, kind=refusals.FOREIGN_STORE, missing_store_id=None))


def _unknown(field: str, row: OutboxRow) -> Incoming:
    reason = refusals.unknown_store(field, row.store_id)
    return Incoming(row._replace(refusal=reason, kind=refusals.UNKNOWN_STORE, missing_store_id=row.store_id))


def _bronze_row(origin: Origin, key: str, store_id: int, digest: bytes, document: str) -> OutboxRow:
    return OutboxRow(origin.bronze_table, key, store_id, origin.received_at, origin.source, digest, document, None)
