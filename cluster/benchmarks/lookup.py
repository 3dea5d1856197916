"""Receipt lookup over HTTP, everything on, against what a team would otherwise build and the database alone."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.lookup_peers import floor_per_second, floor_script, peer
from cluster.benchmarks.private_platform import private_platform
from cluster.benchmarks.side import Side
from cluster.parts import process_of
from configs.settings import Settings
from loadtest.bench.http_driver import get_request
from loadtest.bench.report import Bar, Report, Result, against
from receipts.database import DatabaseRole, connect
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "lookup")
_RATE = 500.0  # requests/s for the latency at a fixed rate
_STOCK_RATE = 50.0  # what Serve as it comes can hold
_IDS = 5_000
_OURS, _ONE, _TWO, _STOCK = (
    "ours",
    "FastAPI + uvicorn + psycopg pool, no security",
    "the same, two of it",
    "stock Serve",
)


def measure(*, quick: bool) -> Report:
    """Return requests/s at saturation, latencies at a fixed rate and processor time by process, all sides in turns."""
    receipts, rounds, seconds = (5_000, 3, 3.0) if quick else (1_000_000, 5, 5.0)
    with ExitStack() as stack:
        settings = stack.enter_context(private_platform(("postgres", "gateway", "ray", "serve")))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fill(settings, receipts)
        sides = _sides(settings, stack)
        script, floor = floor_script(folder), list[float]()
        for number in range(rounds + 1):
            for side in sides.values():
                side.measure(seconds)
            floor.append(floor_per_second(settings, script, seconds))
            if number == 0:  # the first one warms
                floor.clear()
                for side in sides.values():
                    side.forget()
    return _report(rounds, sides, floor)


def _sides(settings: Settings, stack: ExitStack) -> dict[str, Side]:
    ids = sample_ids(settings)
    header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
    signed = [get_request("127.0.0.1", f"/receipt/{i}", [header]) for i in ids]
    plain = [get_request("127.0.0.1", f"/receipt/{i}") for i in ids]
    postgres, ray = (process_of(settings, name) for name in ("postgres", "ray"))
    assert postgres is not None
    assert ray is not None
    naked = [stack.enter_context(peer(settings, "naked_lookup")) for _ in range(2)]
    stock = stack.enter_context(peer(settings, "stock_serve"))
    here = "127.0.0.1"
    return {
        _OURS: Side([(here, settings.serve.port)], signed, [postgres, ray], _RATE),
        _ONE: Side([(here, naked[0][0])], plain, [postgres, naked[0][1]], _RATE),
        _TWO: Side([(here, port) for port, _ in naked], plain, [postgres, *(one for _, one in naked)], _RATE),
        _STOCK: Side([(here, stock[0])], plain, [postgres, stock[1]], _STOCK_RATE),
    }


def sample_ids(settings: Settings, count: int = _IDS) -> list[str]:
    """Return ids from all over the table, the same in every run."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        return [str(row[0]) for row in connection.execute(_SQL["list_sample"], {"ids": count})]


def _report(rounds: int, sides: dict[str, Side], floor: list[float]) -> Report:
    ours, stock = sides[_OURS], sides[_STOCK]
    best = max((_ONE, _TWO), key=lambda name: statistics.median(sides[name].per_second()))
    naked = sides[best]
    rates = {
        name: against("lookups, saturated", ours.per_second(), "/s", name, peer_values)
        for name, peer_values in (
            *((name, sides[name].per_second()) for name in (_ONE, _TWO, _STOCK)),
            ("pgbench, prepared select", floor),
        )
    }
    latencies = {
        share: _latency(share, lambda side, share=share: side.percentiles_ms(share), ours, naked, best)
        for share in (0.5, 0.95, 0.99)
    }
    failed = sum(outcome.failed for outcome in (*ours.saturated, *ours.steady))
    return Report(
        "lookup",
        rounds,
        (*rates.values(), *latencies.values(), *_spent(ours, naked, best), Result("failed", failed, "answers")),
        _bars(rates, best, latencies[0.95], failed, stock),
    )


def _latency(share: float, of: Callable[[Side], list[float]], ours: Side, naked: Side, best: str) -> Result:
    return against(f"p{share * 100:.0f} at {_RATE:.0f}/s", of(ours), "ms", best, of(naked))


def _spent(ours: Side, naked: Side, best: str) -> list[Result]:
    kinds = sorted({kind for spent in (*ours.spent, *naked.spent) for kind in spent})
    return [
        Result(f"processor time, {kind}", ours.microseconds(kind), "µs/lookup", best, naked.microseconds(kind))
        for kind in kinds
    ]


def _bars(rates: dict[str, Result], best: str, p95: Result, failed: int, stock: Side) -> tuple[Bar, ...]:
    beside, apart = rates[best].ratio or 0.0, rates[_STOCK].ratio or 0.0
    late = p95.ratio or 0.0
    answered = sum(outcome.answered for outcome in stock.saturated)
    assert answered, "stock Serve answered nothing"
    return (
        Bar("lookups/s / the naked endpoint's best", beside, ">= 1.3", beside >= 1.3),
        Bar("lookups/s / Ray Serve as it comes", apart, ">= 8", apart >= 8),
        Bar(f"p95 at {_RATE:.0f}/s / the naked endpoint's", late, "<= 1.5", late <= 1.5),
        Bar(f"p95 at {_RATE:.0f}/s (ms), security and audit on", p95.value, "< 10", p95.value < 10),
        Bar("failed lookups", failed, "0", failed == 0),
    )
