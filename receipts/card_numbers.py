"""Full card numbers: found anywhere, destroyed before anything is stored (PCI DSS 3.4)."""

from __future__ import annotations

import re

_CANDIDATE = re.compile(r"(?<![0-9])(?:[0-9][ \-]?){12,18}[0-9](?![0-9])")
DESTROYED = "[card number removed]"


def contains_card_number(text: str) -> bool:
    """Say whether a text holds 13 to 19 digits, also with spaces or dashes, that pass the Luhn check."""
    return any(_luhn(match.group()) for match in _CANDIDATE.finditer(text))


def destroy_card_numbers(text: str) -> str:
    """Return the text with every full card number replaced."""
    return _CANDIDATE.sub(lambda match: DESTROYED if _luhn(match.group()) else match.group(), text)


def _luhn(text: str) -> bool:
    """Check digits by ISO/IEC 7812-1 annex B."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = (d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2])
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
