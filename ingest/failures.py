"""How often who failed to authenticate lately, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_WINDOW_S = 60.0
_MOST_OF_A_CLIENT = 10  # in a window, from one address
_MOST_OF_AN_ADDRESS = 100  # a store's tills may share one
_MOST_KEPT = 10_000


class Failures:
    """Counts failures in windows of a minute. Secrets cannot be guessed anyway: this spares work and logs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def too_many(self, address: str, client_id: str) -> bool:
        """Say whether this client failed too often from this address, or this address altogether."""
        return (
            self._count((address, client_id)) >= _MOST_OF_A_CLIENT or self._count((address, "")) >= _MOST_OF_AN_ADDRESS
        )

    def note(self, address: str, client_id: str) -> None:
        """Count a failure. Beyond the memory's bound the least recent ones are forgotten."""
        for key in ((address, client_id), (address, "")):
            count = self._count(key)
            began = self._counts[key][0] if count else self._clock()
            self._counts[key] = began, count + 1
            self._counts.move_to_end(key)
        while len(self._counts) > _MOST_KEPT:
            self._counts.popitem(last=False)

    def _count(self, key: tuple[str, str]) -> int:
        began, count = self._counts.get(key, (0.0, 0))
        return count if count and self._clock() - began < _WINDOW_S else 0
