"""What a run of Locust saw, by route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST = 200  # columns: more than any route and its figures take


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


def read_figures(entries: Iterable[Mapping[str, Any]]) -> tuple[RouteFigures, ...]:
    """Return the figures of the entries that `locust --json` prints, busiest route first."""
    routes = [
        RouteFigures(
            route=str(entry["name"]),
            requests=int(entry["num_requests"]),
            failures=int(entry["num_failures"]),
            per_second=_rate(entry),
            p50_ms=percentile(entry["response_times"], 0.50),
            p95_ms=percentile(entry["response_times"], 0.95),
            p99_ms=percentile(entry["response_times"], 0.99),
        )
        for entry in entries
    ]
    return tuple(sorted(routes, key=lambda r: (-r.requests, r.route)))


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


def as_json(routes: Iterable[RouteFigures]) -> list[dict[str, object]]:
    """Return the figures as plain data."""
    return [asdict(route) for route in routes]


def show(routes: Iterable[RouteFigures], console: Console) -> None:
    """Print the figures as a table a person can read."""
    table = Table(title="Load test (times in ms)", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("route", no_wrap=True)
    for heading in ("asked", "failed", "per s", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for r in routes:
        failed = f"[red]{r.failures:,}[/red]" if r.failures else "0"
        times = (f"{ms:,.0f}" for ms in (r.p50_ms, r.p95_ms, r.p99_ms))
        table.add_row(r.route, f"{r.requests:,}", failed, f"{r.per_second:,.1f}", *times)
    # A narrow terminal may wrap a line, but nothing cuts a route's name or a figure.
    table.width = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    console.print(table, crop=False)


def _rate(entry: Mapping[str, Any]) -> float:
    seconds = float(entry.get("last_request_timestamp") or 0) - float(entry["start_time"])
    return float(entry["num_requests"]) / seconds if seconds > 0 else 0.0
