r"""Full card numbers: found anywhere in a text, destroyed before anything is stored (PCI DSS 3.4).

A card number is 13 to 19 digits that a network could have issued and that pass the Luhn check, whole or in groups, in
digits of any script, written out or as escapes of JSON. What is deliberately left alone, because it would otherwise
refuse honest sales:
- digits inside a longer number, such as the 22 of a receipt id;
- a product code: 13 or 14 digits that are all of the JSON value "sku" and whose GTIN check digit holds;
- decimals such as 0.3333333333333333 (at most seven digits before the point, no positive exponent);
- what only a decoder would show: base64, percent and HTML escapes, digits parted by letters.
Reading is linear: separators and digits cannot be taken for each other, and every check is one subtraction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id

DESTROYED = "[card number removed]"

# An escape of JSON becomes what it stands for, filled up with NUL to its old length, so that places stay the same.
_ESCAPED = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|[nrtbf/])")
# Blanks, dashes, dots, slashes, commas, backslashes, characters without width and what stands for bytes that could not
# be read, such as the hard space of an old code page: at most three between two digits.
_SEPARATOR = r"[\s\-‐-―−_./,·\\\u00ad\u200b-\u200f\u2060\ufeff\ufffd]"
_RUN = re.compile(rf"\d(?:\x00*(?:{_SEPARATOR}\x00*){{0,3}}\d){{12,}}")
_GROUP = re.compile(r"\d(?:\x00*\d)*")
_SHOWN_RECEIPT_ID = re.compile(r"\b\d{6}-\d{5}-\d{3}-\d{6}-\d{2}\b")
_SKU_BEFORE = re.compile(r'"sku"\s{0,2}:\s{0,2}"\Z')
_INTEGER_PART_BEFORE = re.compile(r"(?<!\d)\d{1,7}\.\Z")
_DECIMAL = re.compile(r"\d{1,7}\.\d+")
_EXPONENT = re.compile(r"[eE]\+?\d")
# What card networks issue, by length (ISO/IEC 7812 issuer prefixes). Without it one in ten serial numbers and
# timestamps would pass for a card, because Luhn is the only other test; the IMEI of every phone sold does pass it.
_ISSUED = {
    19: re.compile("220|[3-6]|81"),
    18: re.compile("220|[3-6]|81"),
    17: re.compile("220|[3-6]|81"),
    16: re.compile("[1-9]"),
    15: re.compile("1|2131|34|37|5[06-8]|6"),
    14: re.compile("30[0-59]|3[689]|5[06-8]|6"),
    13: re.compile("4|5[06-8]|6"),
}
_LONGEST = max(_ISSUED)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # twice a digit, its own digits added
_DOUBLED_TEXT = str.maketrans("0123456789", "0246813579")


def contains_card_number(text: str) -> bool:
    """Say whether a text holds a full card number, however it is grouped or escaped."""
    return next(_card_spans(_plain(text)), None) is not None


def destroy_card_numbers(text: str) -> str:
    """Return the text with every full card number replaced; all the rest of it stays as it was."""
    kept: list[str] = []
    done = 0
    for start, end in _card_spans(_plain(text)):
        kept += (text[done:start], DESTROYED)
        done = end
    return "".join((*kept, text[done:])) if kept else text


def _plain(text: str) -> str:
    return _ESCAPED.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    high, low, single = match.groups()
    if high:
        character = chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    else:
        character = chr(int(single, 16)) if single else " "
    return character.ljust(len(match[0]), "\x00")


def _card_spans(plain: str) -> Iterator[tuple[int, int]]:
    """Yield where card numbers stand, in order; those that overlap come as one."""
    for run in _RUN.finditer(plain):
        start, end = run.span()
        for shown in _SHOWN_RECEIPT_ID.finditer(plain, start, end):
            if _is_receipt_id(shown[0]):
                yield from _spans_within(plain, start, shown.start())
                start = shown.end()
        yield from _spans_within(plain, start, end)


def _spans_within(plain: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the card numbers of a run: whole groups of digits, as many as are one number."""
    groups = list(_GROUP.finditer(plain, start, end))
    digits = "".join(_ascii(group[0]) for group in groups)
    if len(groups) == 1:  # nearly every product code: worth a way of its own
        issued = _ISSUED.get(len(digits))
        if issued and issued.match(digits) and _luhn(digits) and not _is_honest(plain, *groups[0].span(), digits):
            yield groups[0].span()
        return
    ends = _ends(groups, len(digits))
    sums = _luhn_sums(digits)
    found: tuple[int, int] | None = None
    before = 0
    for group in groups:
        last = _end_of_card(plain, group.start(), digits, before, ends, sums)
        before += len(_ascii(group[0]))
        if last is None:
            continue
        if found is not None and group.start() >= found[1]:
            yield found
            found = None
        found = (found[0], max(found[1], last)) if found else (group.start(), last)
    if found is not None:
        yield found


def _ascii(group: str) -> str:
    group = group.replace("\x00", "")
    return group if group.isascii() else "".join(str(int(digit)) for digit in group)


def _ends(groups: Iterable[re.Match[str]], count: int) -> list[int]:
    """Return for each number of digits of a run the place where a group with the last of them ends, or 0."""
    ends = [0] * (count + _LONGEST + 1)  # so much longer that nobody needs to look whether there are that many digits
    through = 0
    for group in groups:
        through += len(_ascii(group[0]))
        ends[through] = group.end()
    return ends


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED_TEXT)))) % 10 == 0


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Return running sums with the odd digits doubled, and with the even ones: ISO/IEC 7812-1 annex B."""
    odd, even = [0], [0]
    for i, digit in enumerate(map(int, digits)):
        odd.append(odd[-1] + (_DOUBLED[digit] if i % 2 else digit))
        even.append(even[-1] + (digit if i % 2 else _DOUBLED[digit]))
    return odd, even


def _end_of_card(
    plain: str, start: int, digits: str, before: int, ends: list[int], sums: tuple[list[int], list[int]]
) -> int | None:
    """Return where the longest card number that begins at a place, after so many digits, ends, or None."""
    for length, issued in _ISSUED.items():
        through = before + length
        end = ends[through]
        if not end:
            continue
        running = sums[(through - 1) % 2]  # the last digit is never a doubled one
        passes = (running[through] - running[before]) % 10 == 0 and issued.match(digits, before)
        if passes and not _is_honest(plain, start, end, digits[before:through]):
            return end
    return None


def _is_honest(plain: str, start: int, end: int, digits: str) -> bool:
    """Say whether the digits are a product code or a decimal number."""
    text = plain[start:end]
    if len(digits) <= 14 and text.isdigit() and plain[end : end + 1] == '"':  # 14: the longest GTIN
        weighed = sum(map(int, digits[::-2])) + 3 * sum(map(int, digits[-2::-2]))  # GS1 General Specifications 7.9
        if weighed % 10 == 0 and _SKU_BEFORE.search(plain[max(start - 12, 0) : start]):  # 12: "sku" and blanks
            return True
    fraction = text.isdigit() and _INTEGER_PART_BEFORE.search(plain[max(start - 9, 0) : start])  # 9: 1 + 7 + a point
    return bool(fraction or _DECIMAL.fullmatch(text)) and not _EXPONENT.match(plain, end)


def _is_receipt_id(text: str) -> bool:
    try:
        parse_receipt_id(text)
    except InvalidInput:
        return False
    return True
