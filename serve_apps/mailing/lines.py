"""A receipt as lines of equal letters: what the plain text of a message and the pages of its PDF are made of."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from serve_apps.mailing.sheet import Row, Sheet

_GAP = 2  # between what stands at the left and at the right


@dataclass(frozen=True, slots=True)
class Line:
    """One line, as wide as the paper at most."""

    text: str
    is_bold: bool = False


def lines_of(sheet: Sheet, width: int, shown: Callable[[str], str] = str) -> Iterator[Line]:
    """Yield the lines of a receipt on paper of so many letters; `shown` says how a text can be written there."""
    for stamp in sheet.stamps:
        yield Line(f"*** {stamp} ***".center(width).rstrip(), is_bold=True)
    for number, text in enumerate((sheet.store, *sheet.address)):
        for part in _wrapped(shown(text), width):
            yield Line(part.center(width).rstrip(), is_bold=number == 0)
    yield Line("")
    yield from _rows(sheet.facts, width, shown)
    for part in (sheet.items, sheet.sums, sheet.foot):
        if part:
            yield Line("-" * width)
            yield from _rows(part, width, shown)


def _rows(rows: Iterable[Row], width: int, shown: Callable[[str], str]) -> Iterator[Line]:
    for row in rows:
        indent = "  " if row.kind == "note" else ""
        right = shown(row.right)
        room = width - len(right) - (_GAP if right else 0)
        first, *others = _wrapped(f"{indent}{shown(row.left)}", room, f"{indent}  ")
        yield Line((first.ljust(width - len(right)) + right).rstrip(), is_bold=row.kind == "sum")
        yield from (Line(other) for other in others)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text in pieces of at most `width` letters, those after the first moved in."""
    return textwrap.wrap(text, width, subsequent_indent=indent, drop_whitespace=True) or [""]
