"""What a replica counts: plain numbers beside the work, read by nobody until Prometheus asks (`exposition`).

A lookup costs 130 µs of processor time; prometheus_client's own counters and histograms would add a tenth of that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

# Seconds: fine around the 5 and 10 ms that are promised for a lookup, coarse beyond.
SECONDS = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # in one question


class Spread:
    """How values are spread over bounds: a histogram whose last count is of what lies beyond all of them."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count a value, or the same one for so many requests at once."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Answers:
    """The answers of one route: how many of each status, and how long they took."""

    __slots__ = ("seconds", "statuses")

    def __init__(self) -> None:
        self.statuses = {500: 0, 503: 0}  # told from the first answer on: a rate cannot see a series begin
        self.seconds = Spread()

    def add(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.seconds.add(seconds)


class Traffic:
    """The answers of one application by route template, as the audit trail names it; never by what was asked."""

    def __init__(self) -> None:
        self.routes: dict[str, Answers] = {}

    def of(self, route: str) -> Answers:
        """Return what counts the answers of a route."""
        answers = self.routes.get(route)
        if answers is None:
            answers = self.routes[route] = Answers()
        return answers


class QuestionMeter:
    """What a coalescer counts of its requests and of the questions they share."""

    __slots__ = ("asked", "overdue", "overflowed", "sizes", "waited")

    def __init__(self) -> None:
        self.waited = Spread()  # from a request's arrival to its question
        self.asked = Spread()  # the question itself, counted for each request that shares it
        self.sizes = Spread(REQUESTS)
        self.overflowed = 0  # refused because too many wait
        self.overdue = 0  # refused because they waited for too long
