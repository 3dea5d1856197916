"""A customer's receipts and a customer's context over HTTP, everything on, beside endpoints without any of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.lookup_peers import peer
from cluster.benchmarks.private_platform import private_platform
from cluster.benchmarks.side import Side
from cluster.parts import process_of
from configs.settings import Settings
from loadtest.bench.http_driver import get_request
from loadtest.bench.report import Bar, Report, Result, against
from receipts.database import DatabaseRole, connect
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "customers")
_IDS = 2_000
_PEER = "FastAPI + uvicorn + psycopg pool, no security"
# what, its path, requests/s when latencies are measured, the most that its p95 may be (issue 5)
_ROUTES = (
    ("history (20 receipts)", "/customers/{}/receipts", 200.0, 12.0),
    ("context", "/cs/context/{}", 500.0, 10.0),
)


def measure(*, quick: bool) -> Report:
    """Return rates at saturation, latencies at a fixed rate and processor time, ours and the peer in turns."""
    receipts, rounds, seconds = (5_000, 3, 3.0) if quick else (1_000_000, 5, 5.0)
    with ExitStack() as stack:
        settings = stack.enter_context(private_platform(("postgres", "gateway", "ray", "serve")))
        fill(settings, receipts)
        ids = _sample_ids(settings)
        pairs = [_sides(settings, stack, ids, path, rate) for _, path, rate, _ in _ROUTES]
        for number in range(rounds + 1):
            for pair in pairs:
                for side in pair:
                    side.measure(seconds)
                    if number == 0:  # the first one warms
                        side.forget()
    told = [_told(what, rate, bar, *pair) for (what, _, rate, bar), pair in zip(_ROUTES, pairs, strict=True)]
    return Report(
        "customers", rounds, [r for results, _ in told for r in results], [b for _, bars in told for b in bars]
    )


def _sample_ids(settings: Settings) -> list[str]:
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.execute(_SQL["fill_profiles"])
        return [str(row[0]) for row in connection.execute(_SQL["list_sample"], {"ids": _IDS})]


def _sides(settings: Settings, stack: ExitStack, ids: Sequence[str], path: str, rate: float) -> tuple[Side, Side]:
    here = "127.0.0.1"
    header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
    signed = [get_request(here, path.format(one), [header]) for one in ids]
    plain = [get_request(here, path.format(one)) for one in ids]
    postgres, ray = (process_of(settings, name) for name in ("postgres", "ray"))
    assert postgres is not None
    assert ray is not None
    port, process = stack.enter_context(peer(settings, "naked_lookup"))
    ours = Side([(here, settings.serve.port)], signed, [postgres, ray], rate)
    return ours, Side([(here, port)], plain, [postgres, process], rate)


def _told(what: str, rate: float, most_ms: float, ours: Side, naked: Side) -> tuple[list[Result], list[Bar]]:
    latencies = {
        share: against(
            f"{what}: p{share * 100:.0f} at {rate:.0f}/s",
            ours.percentiles_ms(share), "ms", _PEER, naked.percentiles_ms(share),
        )
        for share in (0.5, 0.95, 0.99)
    }  # fmt: skip
    kinds = sorted({kind for spent in (*ours.spent, *naked.spent) for kind in spent})
    spent = [
        Result(f"{what}: processor time, {kind}", ours.microseconds(kind), "µs", _PEER, naked.microseconds(kind))
        for kind in kinds
    ]
    failed = sum(outcome.failed for outcome in (*ours.saturated, *ours.steady))
    p95 = latencies[0.95].value
    results = [
        against(f"{what}: saturated", ours.per_second(), "/s", _PEER, naked.per_second()),
        *latencies.values(), *spent,
    ]  # fmt: skip
    bars = [
        Bar(f"{what}: p95 at {rate:.0f}/s (ms)", p95, f"< {most_ms:.0f}", p95 < most_ms),
        Bar(f"{what}: failed", failed, "0", failed == 0),
    ]
    return results, bars
