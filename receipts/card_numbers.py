"""Full card numbers: found anywhere, destroyed before anything is stored (PCI DSS 3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id

DESTROYED = "[card number removed]"

# Digits in any script, parted by at most three blanks, dashes, dots, slashes or zero-width characters.
_RUN = re.compile(r"\d(?:[\s\-‐-―−_./\u200b-\u200f]{0,3}\d){12,}")
_GROUP = re.compile(r"\d+")
_SHOWN_RECEIPT_ID = re.compile(r"\b\d{6}-\d{5}-\d{3}-\d{6}-\d{2}\b")
# JSON may write such a character as an escape; decoded, it cannot hide a number.
_ESCAPED = re.compile(r"\\u(00(?:20|2d|2e|2f|3[0-9]|5f|a0)|20(?:[01][0-9a-f]|2f)|2212|ff1[0-9])", re.IGNORECASE)
# What card networks issue, by length (ISO/IEC 7812 issuer prefixes). Without it one in ten product codes would pass
# for a card, because Luhn is the only other test.
_ISSUED = {
    13: re.compile("4"),
    14: re.compile("30[0-59]|36|38|39"),
    15: re.compile("34|37"),
    16: re.compile("[1-9]"),
    17: re.compile("5[06-8]|6"),
    18: re.compile("5[06-8]|6"),
    19: re.compile("3|4|5[06-8]|6"),
}
_LONGEST = max(_ISSUED)
_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice a digit, its own digits added


def contains_card_number(text: str) -> bool:
    """Say whether a text holds a full card number, however it is grouped or escaped."""
    return next(_card_spans(_plain(text)), None) is not None


def destroy_card_numbers(text: str) -> str:
    """Return the text with every full card number replaced; a text without one comes back unchanged."""
    plain = _plain(text)
    kept: list[str] = []
    done = 0
    for start, end in _card_spans(plain):
        kept += (plain[done:start], DESTROYED)
        done = end
    return "".join((*kept, plain[done:])) if kept else text


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "\\u" in text else text


def _card_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where card numbers stand: whole groups of digits, since a number inside a longer one is no card."""
    for run in _RUN.finditer(text):
        shown = [m.span() for m in _SHOWN_RECEIPT_ID.finditer(text, *run.span()) if _is_receipt_id(m.group())]
        groups = [
            group.span()
            for group in _GROUP.finditer(text, *run.span())
            if not any(start <= group.start() < end for start, end in shown)
        ]
        i = 0
        while i < len(groups):
            taken = _groups_of_a_card(text, groups, i)
            if taken:
                yield groups[i][0], groups[i + taken - 1][1]
            i += taken or 1


def _groups_of_a_card(text: str, groups: list[tuple[int, int]], first: int) -> int:
    """Return how many groups from `first` on are one card number, the most that are; 0 for none."""
    digits, found = "", 0
    for count, (start, end) in enumerate(groups[first : first + _LONGEST], 1):
        if len(digits) + end - start > _LONGEST:
            break
        digits += text[start:end]
        if len(digits) in _ISSUED and _is_card(digits) and not _is_decimal(text, groups[first][0], end):
            found = count
    return found


def _is_card(digits: str) -> bool:
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)
    if not (_ISSUED[len(digits)].match(digits) and _luhn(digits)):
        return False
    # A 13-digit number whose GTIN check digit holds is a product: no network issues 13 digits any more.
    return len(digits) != 13 or (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 != 0


def _luhn(digits: str) -> bool:
    """Check digits by ISO/IEC 7812-1 annex B."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def _is_decimal(text: str, start: int, end: int) -> bool:
    """Say whether the digits are a decimal number or the fraction of one, such as 0.3333333333333333."""
    between = _GROUP.sub("", text[start:end])
    return between == "." or (not between and re.search(r"\d\.$", text[max(start - 2, 0) : start]) is not None)


def _is_receipt_id(text: str) -> bool:
    try:
        parse_receipt_id(text)
    except InvalidInput:
        return False
    return True
