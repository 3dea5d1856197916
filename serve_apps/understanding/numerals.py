"""Numbers as people write and say them."""

from __future__ import annotations

import re

_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = (
    {word: i for i, word in enumerate(_UNITS, 1)}
    | {word: i for i, word in enumerate(_TEENS, 10)}
    | {word: i * 10 for i, word in enumerate(_TENS, 2)}
    | {"fourty": 40, "a": 1, "an": 1}
)
_ORDINALS = {
    word: i
    for i, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        1,
    )
} | {"thirtieth": 30}

_TEN = rf"(?:{'|'.join(_TENS)}|fourty)"
_BELOW_100 = rf"(?:{_TEN}(?:[-\s]?(?:{'|'.join(_UNITS)}))?|{'|'.join(sorted(_TEENS + _UNITS, key=len, reverse=True))})"
TENS = rf"(?:{_TEN}|[2-9]0)"
WORDS = rf"(?:(?:(?:a|{'|'.join(_UNITS)})\s+)?hundred(?:\s+(?:and\s+)?{_BELOW_100})?|{_BELOW_100})"
ORDINAL_WORDS = rf"(?:(?:twenty|thirty)[-\s](?:{'|'.join(list(_ORDINALS)[:9])})|{'|'.join(sorted(_ORDINALS, key=len, reverse=True))})"


def number(text: str) -> float:
    """Return the value of digits ("1,234.50") or number words ("a hundred and five"), both in lower case.

    Only what the patterns of this module match is read; anything else is a KeyError.
    """
    plain = text.replace(",", "").strip()
    if plain[:1].isdigit() or plain[:1] == ".":
        return float(plain)
    hundreds, below = 0, 0
    for word in re.split(r"[-\s]+", _split_tens(plain)):
        if word == "and":
            continue
        if word == "hundred":
            hundreds, below = (below or 1) * 100, 0
        else:
            below += _VALUES[word]
    return float(hundreds + below)


def ordinal(text: str) -> int:
    """Return the value of "3rd", "3" or "twenty-first"."""
    digits = re.match(r"\d+", text)
    if digits:
        return int(digits[0])
    words = re.split(r"[-\s]+", text)
    return sum(_ORDINALS.get(word, _VALUES.get(word, 0)) for word in words)


def _split_tens(text: str) -> str:
    """Part words typed as one: fortyfive."""
    return re.sub(rf"({_TEN})(?=[a-z])", r"\1 ", text)
