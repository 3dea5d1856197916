"""Plots as data for a template: bars from zero, whose lengths are worked out here and drawn as SVG there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradio_ui.desk_answers import KindOfMonth

_SHADES = 6  # colours that the stylesheet has for parts of a bar
_MONTHS = 12  # that fit beside each other


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot; `share` is its length, 0 to 1 of the longest."""

    label: str
    value: int
    share: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a stacked bar: what it counts, from where to where in shares of the highest, and its shade."""

    kind: str
    value: int
    low: float
    high: float
    shade: int


@dataclass(frozen=True, slots=True)
class Stack:
    """A month with its kinds on top of each other."""

    month: str
    total: int
    pieces: tuple[Piece, ...]


def bars(counted: Sequence[tuple[str, int]]) -> list[Bar]:
    """Return bars in the order given."""
    most = max((value for _, value in counted), default=0) or 1
    return [Bar(label, value, value / most) for label, value in counted]


def months(counted: Iterable[KindOfMonth]) -> list[Stack]:
    """Return the last twelve months, kinds stacked in one order everywhere."""
    found = list(counted)
    kinds = sorted({one.kind for one in found})
    by_month = {month: {} for month in sorted({one.month for one in found})[-_MONTHS:]}
    for one in found:
        if one.month in by_month:
            by_month[one.month][one.kind] = one.patterns
    most = max((sum(values.values()) for values in by_month.values()), default=0) or 1
    return [_stack(month, values, kinds, most) for month, values in by_month.items()]


def _stack(month: str, values: dict[str, int], kinds: Sequence[str], most: int) -> Stack:
    pieces, below = [], 0
    for shade, kind in enumerate(kinds):
        value = values.get(kind, 0)
        if value:
            pieces.append(Piece(kind, value, below / most, (below + value) / most, shade % _SHADES))
        below += value
    return Stack(month, below, tuple(pieces))
