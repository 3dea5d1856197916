"""One of those that a benchmark over HTTP measures in turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from cluster.benchmarks.processor_shares import shares
from loadtest.bench.http_driver import Outcome, run


@dataclass(frozen=True, slots=True)
class Side:
    """Where it listens, what it is asked, whose processor time counts, and what was seen of it."""

    addresses: Sequence[tuple[str, int]]
    requests: Sequence[bytes]
    processes: Sequence[psutil.Process]
    rate: float  # requests/s when latencies are measured
    connections: int = 32
    saturated: list[Outcome] = field(default_factory=list)
    steady: list[Outcome] = field(default_factory=list)
    spent: list[dict[str, float]] = field(default_factory=list)  # seconds by kind of process, in each saturated round

    def measure(self, seconds: float) -> None:
        """Ask at saturation, then at a fixed rate."""
        before = shares(self.processes)
        self.saturated.append(run(self.addresses, self.requests, self.connections, seconds))
        after = shares(self.processes)
        self.spent.append({kind: after[kind] - before.get(kind, 0.0) for kind in after})
        self.steady.append(run(self.addresses, self.requests, self.connections, seconds, self.rate))

    def forget(self) -> None:
        """Take the rounds so far for warming up."""
        for each in (self.saturated, self.steady, self.spent):
            each.clear()

    def per_second(self) -> list[float]:
        """Return good answers a second of each round."""
        return [outcome.per_second for outcome in self.saturated]

    def percentiles_ms(self, share: float) -> list[float]:
        """Return a percentile of the latency at the fixed rate, of each round."""
        return [outcome.percentile_ms(share) for outcome in self.steady]

    def microseconds(self, kind: str) -> float:
        """Return the processor time of a kind of process for one answer at saturation."""
        pairs = zip(self.spent, self.saturated, strict=True)
        return statistics.median(1e6 * spent.get(kind, 0.0) / max(outcome.answered, 1) for spent, outcome in pairs)
