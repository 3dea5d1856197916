"""When somebody asks next: people think between clicks, and a program of constant rate never waits for an answer."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

# Pauses of people are log-normal. Half of those between clicks are below 3 s and one in twenty above 8 s; half of
# those between two calls, with what has to be noted down, below 20 s.
CLICK_S, CALL_S = 3.0, 20.0
_SPREAD = 0.6
DUE = "DUE"  # stands for a method where Locust counts times from when a question was due


def think_s(source: random.Random, median_s: float, scale: float) -> float:
    """Return a pause in seconds; 0 for scale 0."""
    return scale * source.lognormvariate(math.log(median_s), _SPREAD)


@dataclass(slots=True)  # not frozen: it counts
class Schedule:
    """When a caller's questions are due, in seconds of a clock: every `interval_s`, whatever became of those before.

    Who is late asks at once, until everything that was due was asked: a service that stalls is asked all the more
    afterwards, as the customers of a real one do. Latency counts from when a question was due; counted from when it
    was sent, it would leave out whatever waited behind a stall ("coordinated omission", Gil Tene).
    """

    interval_s: float
    due: float  # of the next question

    @classmethod
    def starting(cls, now: float, interval_s: float, source: random.Random) -> Schedule:
        """Return a schedule that starts at a random place of its interval, so that callers do not ask together."""
        return cls(interval_s, now + source.random() * interval_s)

    def wait_s(self, now: float) -> float:
        """Return how long it is until the next question is due; 0 for one that is late."""
        return max(0.0, self.due - now)

    def take(self) -> float:
        """Return when the question that is asked now was due, and go on to the next one."""
        due, self.due = self.due, self.due + self.interval_s
        return due
