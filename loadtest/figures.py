"""What a run of Locust saw: by route, what failed and why, and whether the load generator kept up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.bench.report import Bar
from loadtest.pacing import DUE
from loadtest.refusals import LIMITED
from loadtest.strain import Verdict, judge
from receipts.errors import InvalidInput

_BAR = re.compile(r"(?P<route>.+)=(?P<ms>\d+(?:\.\d+)?)")
ALL_ROUTES = "all"  # instead of a route: every request of the run
_WARM_UP_S = 2  # of a rate: seconds after the ramp-up in which the last callers still come


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """One route: how often it was asked, how often that failed, and how long answers took in milliseconds."""

    route: str
    requests: int
    failures: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Complaint:
    """A failure in words, and how often it happened."""

    route: str
    error: str
    occurrences: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A run of constant rate: what was wanted, what was reached, and times from when a lookup was due."""

    target_per_second: float
    reached_per_second: float
    since_due: RouteFigures

    @property
    def share(self) -> float:
        """Return how much of the target was reached (0..1)."""
        return self.reached_per_second / self.target_per_second


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a run saw."""

    seconds: float
    routes: Sequence[RouteFigures]
    complaints: Sequence[Complaint]
    driver: Verdict
    arrivals: Arrivals | None = None
    bars: Sequence[Bar] = field(default=())

    @property
    def requests(self) -> int:
        """Return how many requests were made."""
        return sum(route.requests for route in self.routes)

    @property
    def failures(self) -> int:
        """Return how many of them failed."""
        return sum(route.failures for route in self.routes)

    @property
    def limited(self) -> int:
        """Return how many failed because the platform's limits refused them."""
        return sum(one.occurrences for one in self.complaints if one.error.startswith(LIMITED))

    def holds(self) -> bool:
        """Say whether nothing failed and every bar was reached."""
        return not self.complaints and not self.failures and all(bar.holds for bar in self.bars)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "failures": self.failures,
            "refused_by_limits": self.limited,
            "routes": [asdict(route) for route in self.routes],
            "errors": [asdict(one) for one in self.complaints],
            "driver": {**asdict(self.driver), "warnings": self.driver.warnings()},
            "rate": asdict(self.arrivals) if self.arrivals else None,
            "bars": [asdict(bar) for bar in self.bars],
        }


def read_figures(
    entries: Iterable[Mapping[str, Any]],
    ended: Mapping[str, Any],
    *,
    rate: float | None = None,
    ramp_up_s: float = 0.0,
    bars: Mapping[str, float] | None = None,
) -> Figures:
    """Return the figures of Locust's statistics, one entry a route, and of its last words; busiest route first."""
    told = list(entries)
    asked = [entry for entry in told if entry["method"] != DUE]
    due = next((entry for entry in told if entry["method"] == DUE), None)
    seconds = float(ended["seconds"])
    routes = sorted((_route(entry, seconds) for entry in asked), key=lambda r: (-r.requests, r.route))
    return Figures(
        seconds=seconds,
        routes=tuple(routes),
        complaints=_complaints(ended),
        driver=judge(ended["strain"].values()),
        arrivals=Arrivals(rate, _reached(due, ramp_up_s), _route(due, seconds)) if rate and due else None,
        bars=tuple(_bar(told, routes, route, most) for route, most in (bars or {}).items()),
    )


def read_bars(texts: Iterable[str]) -> dict[str, float]:
    """Return the p95 in milliseconds that each route may have, of texts such as `GET /receipt/{receipt_id}=50`.

    Raises InvalidInput.
    """
    bars: dict[str, float] = {}
    for text in texts:
        found = _BAR.fullmatch(text)
        if found is None:
            raise InvalidInput("fail-p95", f"{text} is no bar; expected ROUTE=MS, as in POST /search/=300")
        bars[found["route"].strip()] = float(found["ms"])
    return bars


def percentile(counts: Mapping[str, int], share: float) -> float:
    """Return the time in milliseconds that `share` (0..1) of the answers did not exceed; 0 without any.

    Locust keeps a histogram: times up to 100 ms to the millisecond, above to two digits.
    """
    rising = sorted((float(ms), count) for ms, count in counts.items())
    needed = sum(count for _, count in rising) * share
    seen = 0
    for ms, count in rising:
        seen += count
        if seen >= needed:
            return ms
    return 0.0


def _route(entry: Mapping[str, Any], seconds: float) -> RouteFigures:
    return RouteFigures(
        route=str(entry["name"]),
        requests=int(entry["num_requests"]),
        failures=int(entry["num_failures"]),
        per_second=float(entry["num_requests"]) / seconds if seconds else 0.0,
        p50_ms=percentile(entry["response_times"], 0.50),
        p95_ms=percentile(entry["response_times"], 0.95),
        p99_ms=percentile(entry["response_times"], 0.99),
    )


def _complaints(ended: Mapping[str, Any]) -> Sequence[Complaint]:
    told = [Complaint(one["route"], one["error"], one["occurrences"]) for one in ended["errors"]]
    told += [Complaint("the load test itself", message, 1) for message in ended["exceptions"]]
    return tuple(sorted(told, key=lambda one: -one.occurrences))


def _reached(entry: Mapping[str, Any], ramp_up_s: float) -> float:
    """Return lookups per second from the end of the ramp-up to the last whole second."""
    by_second = {int(second): count for second, count in entry["num_reqs_per_sec"].items()}
    first, last = min(by_second) + int(ramp_up_s) + _WARM_UP_S, max(by_second)
    steady = range(first, last)
    return sum(by_second.get(second, 0) for second in steady) / len(steady) if steady else 0.0


def _bar(entries: Sequence[Mapping[str, Any]], routes: Sequence[RouteFigures], route: str, most: float) -> Bar:
    """Hold a route's p95 against what it may be; one that was never asked misses its bar."""
    if route == ALL_ROUTES:
        everything: dict[str, int] = {}
        for entry in entries:
            if entry["method"] != DUE:
                for ms, count in entry["response_times"].items():
                    everything[ms] = everything.get(ms, 0) + count
        value = percentile(everything, 0.95)
        return Bar(f"p95 of {route}, ms", value, f"<= {most:g}", holds=bool(everything) and value <= most)
    found = next((one for one in routes if one.route == route), None)
    if found is None:
        return Bar(f"p95 of {route}, ms (never asked)", 0.0, f"<= {most:g}", holds=False)
    return Bar(f"p95 of {route}, ms", found.p95_ms, f"<= {most:g}", holds=found.p95_ms <= most)
