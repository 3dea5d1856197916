"""How long to wait before trying again: longer each time, and never all tills at once."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield waiting times for ever: doubling up to `longest_s`, each drawn between half of it and the whole."""
    ceiling = first_s
    while True:
        yield ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, protects nothing
        ceiling = min(ceiling * 2, longest_s)
