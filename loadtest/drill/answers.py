"""What was asked while something broke, and how each question ended; also those of which nobody knows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is asked for, each by one route."""

    RECEIPT = "receipt"
    HISTORY = "history"
    CONTEXT = "context"


class End(StrEnum):
    """How a question ended. After `CUT` and `LATE` nobody knows whether it was heard."""

    ANSWERED = "answered"
    REFUSED = "refused"  # no connection: nobody heard it
    HUNG_UP = "hung up"  # a kept connection ended without a byte of an answer; asked again, as HTTP clients do
    CUT = "cut"  # the connection ended instead of an answer
    LATE = "late"  # nobody waited any longer


@dataclass(frozen=True, slots=True)
class Subject:
    """A receipt or a customer, and the regions from which it can be seen: none if there is no such thing."""

    kind: Kind
    name: str
    region_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Asker:
    """A principal and its regions; None stands for all."""

    principal_id: str
    region_ids: frozenset[int] | None

    def sees(self, region_ids: frozenset[int]) -> bool:
        """Say whether something that can be seen from these regions can be seen by this one."""
        return bool(region_ids) and (self.region_ids is None or not region_ids.isdisjoint(self.region_ids))


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and its end. Times are seconds of `time.monotonic`.

    `request_id` is the platform's own, and empty where a proxy answered in its stead. `shown` are the receipts that
    the answer holds, `why` what a refusal said.
    """

    asker: Asker
    subject: Subject
    asked_at: float
    ended_at: float
    end: End
    status: int = 0
    request_id: str = ""
    shown: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Say whether it was answered as it should be, found or not."""
        return self.end is End.ANSWERED and bool(self.request_id) and self.status in {200, 404}

    @property
    def how(self) -> str:
        """Return how it ended, in the few words by which failures are counted."""
        if self.end is not End.ANSWERED:
            return self.end.value
        return str(self.status) if self.request_id else f"{self.status} of a proxy"


@dataclass(frozen=True, slots=True)
class Interruption:
    """What callers noticed of a fault: failures by how they ended, and for how long nobody had a good answer.

    `recovered_s` is the time from the fault to the last failure's end; `silent_s` the longest time in which no good
    answer came; `told` is what refusals said.
    """

    good: int
    failures: Mapping[str, int]
    silent_s: float
    recovered_s: float
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        failures = ", ".join(f"{count} {how}" for how, count in sorted(self.failures.items())) or "none"
        told = "".join(f"; {why}" for why in self.told)
        return (
            f"{self.good} good, failures: {failures}; no answer for {self.silent_s:.1f} s at most, "
            f"the last failure {self.recovered_s:.1f} s after the fault{told}"
        )


@dataclass(slots=True)  # not frozen: it grows with each answer
class History:
    """All that was asked so far; may be read by other threads while it grows."""

    answers: list[Answer] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, answer: Answer) -> None:
        """Add a question that has ended."""
        with self._changed:
            self.answers.append(answer)
            self._changed.notify_all()

    def wait_for(self, kind: Kind | None, more: int, within_s: float) -> bool:
        """Return whether so many more questions of a kind, or of all, were well answered within a time."""
        deadline = time.monotonic() + within_s
        with self._changed:
            begin = len(self.answers)

            def enough() -> bool:
                since = self.answers[begin:]
                return sum(one.is_good and kind in {None, one.subject.kind} for one in since) >= more

            return self._changed.wait_for(enough, deadline - time.monotonic())

    def since(self, moment: float) -> Sequence[Answer]:
        """Return what ended after a moment, in the order of the ends."""
        with self._changed:
            return [one for one in self.answers if one.ended_at >= moment]


def interruption(answers: Sequence[Answer], fault_at: float) -> Interruption:
    """Return what callers noticed of a fault, from the answers that ended after it."""
    good, failures, last_good, silent, last_failure = 0, Counter[str](), fault_at, 0.0, fault_at
    for one in sorted(answers, key=lambda answer: answer.ended_at):
        if one.is_good:
            good += 1
            silent, last_good = max(silent, one.ended_at - last_good), one.ended_at
        else:
            failures[one.how] += 1
            last_failure = one.ended_at
    told = tuple(sorted({one.why for one in answers if one.why and not one.is_good}))
    return Interruption(good, dict(failures), silent, last_failure - fault_at, told)
