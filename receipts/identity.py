"""The one derivation of a receipt's id from its natural key."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from receipts.errors import InvalidInput

DIGITS = 22
MAX_STORE, MAX_REGISTER, MAX_SEQUENCE = 99_999, 999, 999_999
_SEPARATORS = re.compile(r"[\s\-–]+")
ACCEPTED = "22 digits YYMMDD-SSSSS-RRR-NNNNNN-CC (business date, store, register, sequence, check digits)"


class NaturalKey(NamedTuple):
    """What a till prints at the foot of a receipt: unique for one sale."""

    store_id: int
    register_id: int
    business_date: date
    sequence_number: int


def receipt_id(key: NaturalKey) -> str:
    """Return the 22-digit id of a natural key.

    The business date leads, so recent receipts lie together in every index; all digits, so Code 128 set C
    prints it in 11 symbols; the last two are ISO 7064 MOD 97-10 check digits, so a misread id is refused
    instead of looked up. Raises InvalidInput when a part is out of range.
    """
    _within("store_id", key.store_id, 1, MAX_STORE)
    _within("register_id", key.register_id, 1, MAX_REGISTER)
    _within("sequence_number", key.sequence_number, 1, MAX_SEQUENCE)
    _within("business_date year", key.business_date.year, 2000, 2099)
    body = f"{key.business_date:%y%m%d}{key.store_id:05d}{key.register_id:03d}{key.sequence_number:06d}"
    return f"{body}{98 - int(body) * 100 % 97:02d}"


def parse_receipt_id(text: str) -> str:
    """Return the canonical 22 digits of an id as typed or scanned; spaces and dashes are allowed.

    Raises InvalidInput naming `receipt_id` for a wrong length, a non-digit, an impossible part or check digits.
    """
    digits = _SEPARATORS.sub("", text.strip())
    if not (len(digits) == DIGITS and digits.isascii() and digits.isdigit()):
        raise InvalidInput("receipt_id", f"expected {ACCEPTED}")
    if int(digits) % 97 != 1:
        raise InvalidInput("receipt_id", f"check digits do not match: was a digit misread? Expected {ACCEPTED}")
    try:
        derived = receipt_id(natural_key(digits))
    except ValueError:
        raise InvalidInput("receipt_id", f"the first six digits are no date; expected {ACCEPTED}") from None
    except InvalidInput as error:
        raise InvalidInput("receipt_id", f"its {error}; expected {ACCEPTED}") from None
    if derived != digits:  # 00, 01 and 99 stand for the same remainder as 97, 98 and 02: one receipt, one id
        raise InvalidInput("receipt_id", f"check digits do not match: was a digit misread? Expected {ACCEPTED}")
    return digits


def natural_key(digits: str) -> NaturalKey:
    """Return the natural key that canonical digits were derived from."""
    day = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    return NaturalKey(int(digits[6:11]), int(digits[11:14]), day, int(digits[14:20]))


def display(digits: str) -> str:
    """Return the id grouped as people read it: YYMMDD-SSSSS-RRR-NNNNNN-CC."""
    return "-".join((digits[:6], digits[6:11], digits[11:14], digits[14:20], digits[20:]))


def _within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInput(field, f"{value} is not between {low} and {high}")
