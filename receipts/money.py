"""Money as integer minor units (cents) with an ISO 4217 currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from receipts.errors import InvalidInput

EXPONENTS = {"USD": 2, "CAD": 2, "EUR": 2, "GBP": 2, "MXN": 2, "JPY": 0}  # ISO 4217 minor units of the currencies taken
SYMBOLS = {"USD": "$", "CAD": "CA$", "EUR": "€", "GBP": "£", "MXN": "MX$", "JPY": "¥"}


def to_cents(amount: str | Decimal | float, currency: str = "USD") -> int:
    """Return the minor units of a decimal amount, halves rounded away from zero.

    A float is read by its shortest decimal form, so 1.005 means 1.005. Raises InvalidInput when it is no number.
    """
    try:
        value = Decimal(str(amount)).scaleb(EXPONENTS[currency])
        return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except (ArithmeticError, ValueError):  # decimal's own overflow is no OverflowError
        raise InvalidInput("amount", "expected a decimal number such as 12.99") from None
    except KeyError:
        raise InvalidInput("currency", f"{currency} is not one of {', '.join(sorted(EXPONENTS))}") from None


def format_cents(cents: int, currency: str = "USD") -> str:
    """Return an amount as people read it: -$1,234.50."""
    digits = EXPONENTS[currency]
    value = Decimal(abs(cents)).scaleb(-digits)
    return f"{'-' if cents < 0 else ''}{SYMBOLS[currency]}{value:,.{digits}f}"
