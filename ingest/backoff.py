"""How long to wait before trying again: longer each time, and never all tills at once."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield waiting times for ever: each drawn between 0 and a ceiling that doubles up to `longest_s`.

    "Full jitter" of "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: the least load on a server that
    comes back to many clients at once.
    """
    ceiling = first_s
    while True:
        yield random.uniform(0.0, ceiling)  # noqa: S311 - spreads retries, protects nothing
        ceiling = min(ceiling * 2, longest_s)
