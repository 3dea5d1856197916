"""The report of a run as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from loadtest.figures import Arrivals, Complaint, Figures, RouteFigures

_WIDEST = 200  # columns: more than any route and its figures take
_REACHED = 0.98  # of the target: what is left is chance at both ends of the run


def show(figures: Figures, console: Console) -> None:
    """Print the figures."""
    _show_routes(figures.routes, console)
    if figures.complaints:
        _show_complaints(figures.complaints, console)
    if figures.arrivals:
        _show_arrivals(figures.arrivals, console)
    driver = figures.driver
    console.print(
        f"{figures.requests:,} requests in {figures.seconds:,.0f} s, {figures.failures:,} failed, of which "
        f"{figures.limited:,} were refused by a limit.",
        soft_wrap=True,
    )
    console.print(
        f"Load generator: {driver.processes} process{'es' if driver.processes > 1 else ''}, "
        f"{driver.cpu_mean_percent:.0f} % of a core each, at most {driver.cpu_peak_percent:.0f} %; late for its own "
        f"appointments by {driver.late_p95_ms:.0f} ms (p95), at most {driver.late_max_ms:,.0f} ms.",
        soft_wrap=True,
    )
    for warning in driver.warnings():
        console.print(f"[yellow]{warning}[/yellow]", soft_wrap=True)
    for bar in figures.bars:
        verdict = "holds " if bar.holds else "[red]MISSED[/red]"
        console.print(f"  {verdict}  {bar.what}: {bar.value:,.0f} (bar: {bar.bar})", soft_wrap=True)


def _show_routes(routes: Sequence[RouteFigures], console: Console) -> None:
    table = Table(title="Load test (times in ms)", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("route", no_wrap=True)
    for heading in ("asked", "failed", "per s", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for r in routes:
        failed = f"[red]{r.failures:,}[/red]" if r.failures else "0"
        times = (f"{ms:,.0f}" for ms in (r.p50_ms, r.p95_ms, r.p99_ms))
        table.add_row(r.route, f"{r.requests:,}", failed, f"{r.per_second:,.1f}", *times)
    _print_whole(table, console)


def _show_complaints(complaints: Sequence[Complaint], console: Console) -> None:
    table = Table(title="What failed", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("route", no_wrap=True)
    table.add_column("what went wrong", no_wrap=True)
    for one in complaints:
        table.add_row(f"{one.occurrences:,}", one.route, escape(one.error))
    _print_whole(table, console)


def _show_arrivals(arrivals: Arrivals, console: Console) -> None:
    due = arrivals.since_due
    console.print(
        f"Rate: {arrivals.reached_per_second:,.1f} of {arrivals.target_per_second:,.1f} lookups/s reached; from when a "
        f"lookup was due to its answer p50 {due.p50_ms:,.0f}, p95 {due.p95_ms:,.0f}, p99 {due.p99_ms:,.0f} ms.",
        soft_wrap=True,
    )
    if arrivals.share < _REACHED:
        console.print(
            "[yellow]The rate was not reached: times from when a lookup was due grow with the length of such a run and "
            "tell nothing but that. Ask for less, or give the platform or the load generator more.[/yellow]",
            soft_wrap=True,
        )
    console.print("For latency proofs beside a peer, see `receipts bench lookup`.", soft_wrap=True)


def _print_whole(table: Table, console: Console) -> None:
    """Print a table that a narrow terminal may wrap, but cuts no name or figure of."""
    table.width = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    console.print(table, crop=False)
