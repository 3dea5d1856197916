"""How text is normalised, everywhere: what is stored, searched and embedded passes through here."""

from __future__ import annotations

import re
import unicodedata

_NOT_WORD = re.compile(r"(?:[^\w%&]|_)+")
_NOT_DIGIT = re.compile(r"[^0-9]+")
# What Unicode does not decompose: marks and apostrophes go, ligatures and barred letters become plain ones.
_PLAIN = str.maketrans(
    dict.fromkeys("™℠®©'’‘ʼ`´′", "")
    | {"æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l"}
    | {"đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th", "ı": "i"}
)


def normalise(text: str) -> str:
    """Return lower-case words parted by single spaces, without accents or punctuation; idempotent.

    Letters and digits of every script stay, so that a name in Cyrillic can be found by that name.
    """
    folded = unicodedata.normalize("NFKD", text.translate(_PLAIN)).casefold()  # NFKD first: it can bring capitals
    decomposed = unicodedata.normalize("NFKD", folded.translate(_PLAIN))  # and casefold can bring accents and marks
    return _NOT_WORD.sub(" ", "".join(c for c in decomposed if not unicodedata.combining(c))).strip()


def normalise_email(text: str) -> str:
    """Return an e-mail address as it is compared: trimmed and in lower case."""
    return text.strip().casefold()


def normalise_phone(text: str) -> str:
    """Return the digits of a phone number, without the North American country code."""
    digits = _NOT_DIGIT.sub("", unicodedata.normalize("NFKC", text))
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
