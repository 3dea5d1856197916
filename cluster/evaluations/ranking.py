"""How good a ranking is, by which of its places are relevant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2


def ndcg(ranked: Sequence[str], relevant: Collection[str], places: int = 10) -> float:
    """Return the normalised discounted cumulative gain of the first places, labels being 0 or 1 (Järvelin 2002)."""
    ideal = sum(1 / log2(place + 2) for place in range(min(places, len(relevant))))
    gained = sum(1 / log2(place + 2) for place, sku in enumerate(ranked[:places]) if sku in relevant)
    return gained / ideal if ideal else 0.0


def precision(ranked: Sequence[str], relevant: Collection[str], places: int = 10) -> float:
    """Return the share of the first places that is relevant; places that stayed empty are not."""
    return sum(sku in relevant for sku in ranked[:places]) / places


def recall(ranked: Sequence[str], relevant: Collection[str], places: int = 50) -> float:
    """Return the share of what is relevant, or of the places where more is, that the first places hold."""
    possible = min(places, len(relevant))
    return sum(sku in relevant for sku in ranked[:places]) / possible if possible else 0.0
