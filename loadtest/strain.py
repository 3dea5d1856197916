"""Does the load generator itself keep up? Its processor time, and how late it is for its own appointments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOOK_S = 0.1  # an appointment the driver makes with itself
_BUSY_PERCENT = 90.0  # of one core, which is all that a Python process can use: as Locust's own warning
_LATE_MS = 20.0  # a driver so late adds about that to every time it measures


@dataclass(slots=True)  # not frozen: it counts
class Strain:
    """What one process of the driver went through."""

    cpu_percents: list[float] = field(default_factory=list)
    late_ms: Counter[int] = field(default_factory=Counter)  # whole milliseconds -> how often

    def saw(self, late_s: float) -> None:
        """Count an appointment that was kept late."""
        self.late_ms[int(late_s * 1_000)] += 1

    def used(self, cpu_percent: float) -> None:
        """Count the processor time of the last second, in percent of one core."""
        self.cpu_percents.append(cpu_percent)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, as workers report it."""
        return {
            "cpu_percents": self.cpu_percents,
            "late_ms": {str(ms): n for ms, n in self.late_ms.items()},
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """How hard the driver's processes were pressed; `peak` is the worst ten seconds of the busiest."""

    processes: int
    cpu_mean_percent: float
    cpu_peak_percent: float
    late_p95_ms: float
    late_max_ms: float

    def warnings(self) -> list[str]:
        """Say what makes the figures doubtful."""
        said: list[str] = []
        if self.cpu_peak_percent > _BUSY_PERCENT:
            said.append(
                f"The load generator used {self.cpu_peak_percent:.0f} % of a core and was the bottleneck: times are "
                "too long and rates too low. Give it more processes (--workers) or machines."
            )
        elif self.late_p95_ms > _LATE_MS:
            said.append(
                f"The load generator was {self.late_p95_ms:.0f} ms late in one of twenty looks at the clock: the "
                "machine is too busy for it, and times are too long by up to that. Run it on a machine of its own."
            )
        return said


def judge(processes: Iterable[Mapping[str, Any]]) -> Verdict:
    """Return what to say of the processes whose strain is given as plain data."""
    told = list(processes)
    late: Counter[int] = Counter()
    for one in told:
        late.update({int(ms): n for ms, n in one["late_ms"].items()})
    cpu = [percent for one in told for percent in one["cpu_percents"]]
    return Verdict(
        processes=len(told),
        cpu_mean_percent=sum(cpu) / len(cpu) if cpu else 0.0,
        cpu_peak_percent=max((_worst(one["cpu_percents"]) for one in told), default=0.0),
        late_p95_ms=_percentile(late, 0.95),
        late_max_ms=float(max(late, default=0)),
    )


def _worst(percents: list[float], seconds: int = 10) -> float:
    """Return the highest mean of so many seconds in a row; of all when there are fewer."""
    windows = [percents[at : at + seconds] for at in range(max(1, len(percents) - seconds + 1))]
    return max((sum(window) / len(window) for window in windows if window), default=0.0)


def _percentile(counts: Counter[int], share: float) -> float:
    needed, seen = counts.total() * share, 0
    for ms in sorted(counts):
        seen += counts[ms]
        if seen >= needed:
            return float(ms)
    return 0.0
