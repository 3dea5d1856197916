"""How text is normalised, everywhere: what is stored, searched and embedded passes through here."""

from __future__ import annotations

import re
import unicodedata

_NOT_WORD = re.compile(r"[^0-9a-z%&]+")
_APOSTROPHE = re.compile(r"['’`]")
_NOT_DIGIT = re.compile(r"\D+")


def normalise(text: str) -> str:
    """Return lower-case words parted by single spaces, without accents or punctuation; idempotent."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", _APOSTROPHE.sub("", plain)).strip()


def normalise_email(text: str) -> str:
    """Return an e-mail address as it is compared: trimmed and in lower case."""
    return text.strip().casefold()


def normalise_phone(text: str) -> str:
    """Return the digits of a phone number, without the North American country code."""
    digits = _NOT_DIGIT.sub("", text)
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
