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
    | {"fourty": 40, "a": 1, "an": 1, "couple": 2, "few": 3}
)
DIGITS = {word: i for i, word in enumerate(_UNITS, 1)} | {"zero": 0, "oh": 0, "o": 0}
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
_BELOW_1000 = rf"(?:(?:(?:(?:a\s+)?(?:couple|few)(?:\s+of)?|a|{'|'.join(sorted(_TEENS + _UNITS, key=len, reverse=True))})\s+)?hundred(?:\s+(?:and\s+)?{_BELOW_100})?|{_BELOW_100})"
WORDS = rf"(?:(?:a|{_BELOW_100})\s+(?:thousand|grand)(?:\s+(?:and\s+)?{_BELOW_1000})?|{_BELOW_1000})"
ORDINAL_WORDS = rf"(?:(?:twenty|thirty)[-\s](?:{'|'.join(list(_ORDINALS)[:9])})|{'|'.join(sorted(_ORDINALS, key=len, reverse=True))})"


def number(text: str) -> float:
    """Return the value of digits ("1,234.50") or number words ("a hundred and five"), both in lower case.

    Only what the patterns of this module match is read; anything else is a KeyError.
    """
    plain = text.replace(",", "").strip()
    if plain[:1].isdigit() or plain[:1] == ".":
        return float(plain.removesuffix("k")) * (1_000 if plain.endswith("k") else 1)
    thousands, hundreds, below = 0, 0, 0
    found = re.split(r"[-\s]+", _split_tens(plain))
    for place, word in enumerate(found):
        if word in {"and", "of"} or (word == "a" and place + 1 < len(found) and found[place + 1] in {"couple", "few"}):
            continue
        if word == "hundred":
            hundreds, below = (below or 1) * 100, 0
        elif word in {"thousand", "grand"}:
            thousands, hundreds, below = (hundreds + below or 1) * 1_000, 0, 0
        else:
            below += _VALUES[word]
    return float(thousands + hundreds + below)


def spelt(text: str) -> str:
    """Return the digits that are said one by one: "seven seven one two"."""
    return "".join(str(DIGITS[word]) for word in re.split(r"[\s,-]+", text))


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
