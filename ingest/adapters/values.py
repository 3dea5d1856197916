"""Text of a file turned into values: exactly, or not at all."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from receipts.errors import InvalidInput
from receipts.money import EXPONENTS

# xs:decimal without exponents (1e999999999 would be a gigabyte of digits), and so short that a price times a quantity
# stays within decimal's 28 digits.
_DECIMAL = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)


def read_whole(field: str, text: str) -> int:
    """Return a number without sign or decimals; leading zeros are dropped. Raises InvalidInput."""
    if not _WHOLE.fullmatch(text):
        raise InvalidInput(field, "expected a whole number" if text else "is missing")
    return int(text)


def read_decimal(field: str, text: str) -> Decimal:
    """Return a decimal number such as -12.50. Raises InvalidInput."""
    if not _DECIMAL.fullmatch(text):
        raise InvalidInput(field, "expected a decimal number such as 12.99" if text else "is missing")
    return Decimal(text)


def exact_cents(field: str, amount: Decimal, currency: str) -> int:
    """Return an amount in minor units. Raises InvalidInput when it holds a fraction of one, or for the currency."""
    scaled = amount.scaleb(exponent(currency))
    cents = int(scaled)
    if cents != scaled:
        raise InvalidInput(field, f"has more decimals than {currency} has")
    return cents


def rounded_cents(amount: Decimal, currency: str) -> int:
    """Return an amount in minor units, halves away from zero: for prices of one unit, such as 3.459 for a gallon."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def read_day(field: str, text: str) -> date:
    """Return the day that an ISO date, or the date of an ISO time, names. Raises InvalidInput."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise InvalidInput(field, "expected a day written YYYY-MM-DD" if text else "is missing") from None


def read_time(field: str, text: str) -> datetime:
    """Return an ISO time, which has an offset or is local to its store. Raises InvalidInput."""
    try:
        time = datetime.fromisoformat(text) if len(text) > len("2026-11-17") else None
    except ValueError:
        time = None
    if time is None:
        raise InvalidInput(field, "expected a time such as 2026-11-17T18:05:00" if text else "is missing")
    return time


def instant(field: str, time: datetime, zone: ZoneInfo | None) -> str:
    """Return a time with its offset, as ISO text; a local time without one is in `zone`.

    In the hour that comes twice in autumn the first is meant, and a time in the hour that is left out in spring is
    read with the offset of before, which is an hour later on the clock (PEP 495, fold 0). Raises InvalidInput.
    """
    if time.tzinfo is None and zone is None:
        raise InvalidInput(
            field, "is local time, but the store and so its time zone is not known; load the store or name a time zone"
        )
    return (time if time.tzinfo is not None else time.replace(tzinfo=zone)).isoformat()


def exponent(currency: str) -> int:
    """Return how many decimals a currency has. Raises InvalidInput for one that is not taken."""
    if currency not in EXPONENTS:
        raise InvalidInput("currency", f"expected one of {', '.join(sorted(EXPONENTS))}")
    return EXPONENTS[currency]
