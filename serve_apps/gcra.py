"""The generic cell rate algorithm (ITU-T I.371, annex A; virtual scheduling): a leaky bucket kept as one instant.

`full_at` is ITU's theoretical arrival time seen from the other side: the instant at which the bucket would be full
again if nobody took anything. All instants and intervals are whole nanoseconds, so that every answer is exact.
`limits.take` in the database does the same arithmetic; a test holds them against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What a limit allows: `count` in `seconds` for ever, at most `burst` at once. `name` is what callers are told."""

    name: str
    count: int
    seconds: int
    burst: int

    @property
    def interval_ns(self) -> int:
        """Return after how long one more token is there, rounded up: never more than was promised."""
        return -(-self.seconds * _NS // self.count)

    def share(self, parts: int) -> Quota:
        """Return one of so many equal parts of it, with room for one token at least."""
        return Quota(self.name, self.count, self.seconds * parts, max(self.burst // parts, 1))


class Grant(NamedTuple):
    """How many tokens were given, and how long until one more is there, in nanoseconds."""

    granted: int
    wait_ns: int


def take(full_at: int, now: int, interval_ns: int, burst: int, wanted: int) -> tuple[int, Grant]:
    """Take up to `wanted` tokens out of a bucket and return when it is full now, and what was given.

    Fewer than 0 wanted are given back. In any span of t ns no more than burst + t / interval_ns are given.
    """
    full_at = max(full_at, now)
    available = burst - -(-(full_at - now) // interval_ns)
    granted = min(wanted, max(available, 0))
    full_at += granted * interval_ns
    return full_at, Grant(granted, max(full_at - now - (burst - 1) * interval_ns, 0))


class Buckets:
    """Buckets of one process, by name. The ones used least recently make room for others."""

    def __init__(self, most: int) -> None:
        """Take how many buckets are remembered; one that was forgotten is full again."""
        self._most = most
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()

    def take(self, name: Hashable, quota: Quota, now: int, wanted: int = 1) -> Grant:
        """Take up to `wanted` tokens out of one bucket."""
        known = self._full_at.get(name, now)
        self._full_at[name], grant = take(known, now, quota.interval_ns, quota.burst, wanted)
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return grant
