"""What the rounds of the ingest benchmark come to: figures, ratios to the peers, and the bars."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.benchmarks.ingest_driver import Outcome
from loadtest.bench.report import Bar, Report, Result, against

_LATENCY_MS = 10  # issue 3: acked and readable at 1,000 receipts/s
_SHARE = 0.35  # issue 3: of the rate of INSERT ... unnest


@dataclass(frozen=True, slots=True)
class Costed:
    """What the driver saw, and the processor time of the gateway and of Postgres for a record."""

    outcome: Outcome
    gateway_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class Round:
    """One round: ours, and the peers on the same receipts. Rates are rows/s; `inserts` by rows in a transaction."""

    steady: Costed
    many: Costed
    one: Costed
    echo_one: Outcome
    batched: Costed
    echo_batched: Outcome
    inserts: Mapping[int, float]
    copy: float


def report(rounds: Sequence[Round]) -> Report:
    """Return medians over the rounds, ratios to the peers of the same round, and the bars."""
    best = max(rounds[0].inserts, key=lambda n: statistics.median(r.inserts[n] for r in rounds))
    inserted = against(
        "batches of 100",
        _rates(rounds, lambda r: r.batched),
        "/s",
        f"INSERT..unnest, {best} a transaction",
        [r.inserts[best] for r in rounds],
    )
    steady = _latencies("at 1,000/s", [r.steady.outcome for r in rounds])
    looked_up, found = (sum(getattr(r.steady.outcome, name) for r in rounds) for name in ("looked_up", "found"))
    results = (
        *steady,
        Result("looked up right after the ack", looked_up, "receipts"),
        Result("of these found", found, "receipts"),
        Result("driver behind its schedule, p99", _median(r.steady.outcome.late_p99_ms for r in rounds), "ms"),
        *_costs("at 1,000/s", [r.steady for r in rounds]),
        *_unthrottled(rounds, inserted),
    )
    p95, ratio = steady[1].value, inserted.ratio or 0.0
    bars = (
        Bar("singles at 1,000/s, acked and readable, p95 (ms)", p95, f"< {_LATENCY_MS}", p95 < _LATENCY_MS),
        Bar("batches of 100 / INSERT..unnest", ratio, f">= {_SHARE}", ratio >= _SHARE),
        Bar("acked receipts that were not readable", looked_up - found, "0", 0 < looked_up == found),
    )
    return Report("ingest", len(rounds), results, bars)


def _unthrottled(rounds: Sequence[Round], inserted: Result) -> Sequence[Result]:
    echo, batched = "echo, nothing stored", _rates(rounds, lambda r: r.batched)
    echoed = [r.echo_one.per_second for r in rounds]
    return (
        against("singles, one stream", _rates(rounds, lambda r: r.one), "/s", echo, echoed),
        *_latencies("one stream", [r.one.outcome for r in rounds]),
        *_costs("one stream", [r.one for r in rounds]),
        Result("singles, 8 streams", _median(_rates(rounds, lambda r: r.many)), "/s"),
        inserted,
        against("batches of 100", batched, "/s", "COPY", [r.copy for r in rounds]),
        against("batches of 100", batched, "/s", echo, [r.echo_batched.per_second for r in rounds]),
        *_latencies("batches of 100", [r.batched.outcome for r in rounds]),
        *_costs("batches of 100", [r.batched for r in rounds]),
    )


def _latencies(where: str, outcomes: Sequence[Outcome]) -> list[Result]:
    return [
        Result(f"ack p{share}, {where}", _median(getattr(one, f"p{share}_ms") for one in outcomes), "ms")
        for share in (50, 95, 99)
    ]


def _costs(where: str, costed: Sequence[Costed]) -> list[Result]:
    return [
        Result(f"gateway, {where}", _median(one.gateway_us for one in costed), "CPU µs/receipt"),
        Result(f"Postgres, {where}", _median(one.postgres_us for one in costed), "CPU µs/receipt"),
        Result(f"load driver, {where}", _median(one.outcome.driver_cpu_us for one in costed), "CPU µs/receipt"),
    ]


def _rates(rounds: Sequence[Round], chosen: Callable[[Round], Costed]) -> list[float]:
    return [chosen(one).outcome.per_second for one in rounds]


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
