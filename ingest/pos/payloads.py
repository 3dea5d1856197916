"""What a till may send: the limits of a record and of a message, and no card number on its disk."""

from __future__ import annotations

from receipts.card_numbers import DESTROYED, destroy_card_numbers
from receipts.errors import InvalidInput

BATCH_RECORDS = 100
BATCH_BYTES = 4 * 2**20  # well below the 16 MiB that the gateway receives in one message
MAX_RECORD_BYTES = 10_420_224  # the most that the Zerobus SDK sends in one call


def as_payload(text: str, number: int = 1) -> bytes:
    """Return a record as bytes; raises InvalidInput naming the record's number when it is empty or too large."""
    payload = text.encode()
    if not payload.strip():
        raise InvalidInput("record", f"number {number} is empty")
    if len(payload) > MAX_RECORD_BYTES:
        raise InvalidInput(
            "record", f"number {number} has {len(payload)} bytes; at most {MAX_RECORD_BYTES} can be sent"
        )
    return payload


def without_card_numbers(text: str) -> str:
    """Return a record as it may be stored; one without a full card number comes back as it is.

    The gateway refuses a record with a card number to its quarantine, digits destroyed. So does the till before its
    disk sees them, by the same rule over the whole text. What would still be a record afterwards gets a field that no
    record has, so that the gateway refuses it: nobody should read a sale that a till has altered.
    """
    clean = destroy_card_numbers(text)
    if clean == text:
        return text
    body = clean.rstrip()
    return f'{body[:-1]},"card_number":"{DESTROYED}"}}' if body.endswith("}") else clean
