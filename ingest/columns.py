"""The columns that find a record: derived from it and from what its store knows."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from ingest.records import CustomerRow, ReceiptRow, StorePlace, StoreRow
from receipts.masking import mask_email, mask_phone
from receipts.models import Customer, Receipt, Store
from receipts.text import normalise, normalise_email, normalise_phone


def store_row(store: Store, document: str, digest: bytes) -> StoreRow:
    """Return the row of a store."""
    return StoreRow(
        store_id=store.store_id,
        region_id=store.region_id,
        region=store.region,
        name=store.name,
        name_norm=normalise(store.name),
        aliases_norm="\n".join(normalise(alias) for alias in store.aliases),
        time_zone=store.time_zone,
        document=document,
        payload_digest=digest,
    )


def customer_row(customer: Customer, home: StorePlace, digest: bytes) -> CustomerRow:
    """Return the row of a customer, whose first region is that of the home store."""
    place = f"{customer.state} {customer.postal_code}".strip()
    return CustomerRow(
        customer_id=customer.customer_id,
        first_name=customer.first_name,
        last_name=customer.last_name,
        name_norm=normalise(f"{customer.first_name} {customer.last_name}"),
        email=customer.email,
        email_norm=normalise_email(customer.email),
        email_masked=mask_email(customer.email),
        phone=customer.phone,
        phone_norm=normalise_phone(customer.phone),
        phone_masked=mask_phone(customer.phone),
        address=", ".join(part for part in (customer.street, customer.city, place) if part),
        city=customer.city,
        customer_since=customer.customer_since,
        home_store_id=customer.home_store_id,
        region_id=home.region_id,
        payload_digest=digest,
    )


def receipt_row(receipt: Receipt, store: StorePlace, document: str, digest: bytes, received_at: datetime) -> ReceiptRow:
    """Return the row of a receipt; the day is the store's own."""
    return ReceiptRow(
        receipt_id=receipt.receipt_id,
        store_id=receipt.store_id,
        region_id=store.region_id,
        receipt_type=receipt.receipt_type.value,
        purchased_at=receipt.purchased_at,
        purchased_on=receipt.purchased_at.astimezone(ZoneInfo(store.time_zone)).date(),
        customer_id=receipt.customer_id,
        total_cents=receipt.total_cents,
        card_last4=",".join(sorted({tender.card_last4 for tender in receipt.tenders if tender.card_last4})),
        skus=",".join(dict.fromkeys(line.sku for line in receipt.lines)),
        document=document,
        payload_digest=digest,
        received_at=received_at,
    )
