"""Records on their way into Postgres: what is known of each, and the columns its statement takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

Identity = tuple[str, bytes, bool]  # Bronze table, digest of the payload, whether it was refused


class StorePlace(NamedTuple):
    """What a receipt or customer takes from its store."""

    region_id: int
    time_zone: str


class StoreRow(NamedTuple):
    """The columns of `record_stores`; `aliases_norm` are parted by line feeds."""

    store_id: int
    region_id: int
    region: str
    name: str
    name_norm: str
    aliases_norm: str
    time_zone: str
    document: str
    payload_digest: bytes


class CustomerRow(NamedTuple):
    """The columns of `record_customers`."""

    customer_id: str
    first_name: str
    last_name: str
    name_norm: str
    email: str
    email_norm: str
    email_masked: str
    phone: str
    phone_norm: str
    phone_masked: str
    address: str
    city: str
    customer_since: date
    home_store_id: int
    region_id: int
    payload_digest: bytes


class ReceiptRow(NamedTuple):
    """The columns of `record_receipts`; `card_last4` and `skus` are parted by commas, which neither can hold."""

    receipt_id: str
    store_id: int
    region_id: int
    receipt_type: str
    purchased_at: datetime
    purchased_on: date
    customer_id: str | None
    total_cents: int
    card_last4: str
    skus: str
    document: str
    payload_digest: bytes
    received_at: datetime


class OutboxRow(NamedTuple):
    """The columns of `record_outbox`: one Bronze row. `sequence` is 0 until ingest/numbering.py has given it one.

    The last two are of a refused record only (`record_refusals`): its kind and the store it waits for.
    """

    bronze_table: str
    record_key: str | None
    store_id: int | None
    received_at: datetime
    source: str
    payload_digest: bytes
    payload: str
    refusal: str | None
    sequence: int = 0
    kind: str | None = None
    missing_store_id: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """One validated record: its Bronze row, and its row in the serving tables unless it was refused."""

    bronze: OutboxRow
    row: StoreRow | CustomerRow | ReceiptRow | None = None

    @property
    def identity(self) -> Identity:
        """Return what makes a record the same as one received before."""
        return self.bronze.bronze_table, self.bronze.payload_digest, self.bronze.refusal is not None
