"""The numbers that order records: by time, never twice, the same in Postgres and in Bronze.

A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014) without its message part: a number never
falls behind the one before it, and it needs no database, so records that reach Bronze while Postgres is away stand
between those before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ingest.records import Incoming

GATEWAYS = 1_024  # numbers of gateways: the last ten bits; the rest are microseconds since 1970, good until 2255


class Numbering:
    """Numbers the records of one process; `gateway` (0 to 1,023) is its own among those that run at once."""

    def __init__(self, gateway: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._gateway = gateway % GATEWAYS
        self._clock_ns = clock_ns
        self._last_us = 0

    def after(self, earlier: Numbering) -> Numbering:
        """Go on above what an earlier numbering of this process has given."""
        self._last_us = max(self._last_us, earlier._last_us)
        return self

    def number(self, records: Iterable[Incoming]) -> list[Incoming]:
        """Return the records with their sequences, rising in the given order."""
        return [Incoming(record.bronze._replace(sequence=self._next()), record.row) for record in records]

    def _next(self) -> int:
        self._last_us = max(self._last_us + 1, self._clock_ns() // 1_000)
        return self._last_us * GATEWAYS + self._gateway
