"""What a lookup costs with more replicas, and with twenty times the receipts: the law by which clusters are sized."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg

from cluster.administering import as_owner
from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.lookup import sample_ids
from cluster.benchmarks.private_platform import private_platform
from cluster.benchmarks.search import ask_about, bars, fill_products, press, sides_of, told
from cluster.benchmarks.side import Side
from cluster.commands.joining import ray_address
from cluster.parts import process_of
from cluster.postgres import admin_dsn
from configs.settings import Settings
from loadtest.bench.http_driver import get_request
from loadtest.bench.report import Bar, Report, Result
from receipts.database import DatabaseRole, connect
from receipts.sql import load_sql
from serve_apps.capabilities import SIGN_IN, capabilities_of

_SQL = load_sql("cluster.benchmarks", "growth")
_INDEXES = ("allow_memory", "create_index_1", "create_index_2", "create_index_3", "create_index_4")
_REPLICAS = (1, 2, 4)
_TURNS = 2  # each number of replicas comes again, so that a busy moment is unfair to none
_TIMES = 20
_RATE = 500.0
_IDS = 50_000  # all over the table: the receipts asked for are not all in memory beforehand
_WITHIN = 1.2  # how much dearer a lookup may be in a table that is twenty times as large
_TARGET = 10_000  # lookups/s that a cluster shall answer
_OURS = ("replicas", "Postgres", "HAProxy", "the rest of Ray")
_BUSY = 0.6  # of a core: what a lookup costs is planned with, so that p95 holds


@dataclass(slots=True)
class _Size:
    """A table of some size, and what was seen of it by the number of replicas."""

    receipts: int
    requests: list[bytes] = field(default_factory=list)
    sides: dict[int, Side] = field(default_factory=dict)


def measure(*, quick: bool) -> Report:
    """Return processor time and latency of a lookup by replicas, in a table and in one twenty times as large."""
    receipts, rounds, seconds = (5_000, 1, 3.0) if quick else (1_000_000, 3, 5.0)
    with ExitStack() as stack:
        settings = stack.enter_context(private_platform(("postgres", "gateway", "ray", "serve")))
        fill(settings, receipts)
        small = _Size(receipts)
        for count in _REPLICAS * _TURNS:
            _deploy(settings, count)
            _press(settings, small, count, rounds, seconds)
        _say(_told_of(small))
        fill_products(settings)
        near = _searched(settings, rounds, seconds)
        _say(_told_searched(receipts, near))
        _deploy(settings, 1)
        _multiply(settings)
        large = _Size(receipts * _TIMES)
        for _ in range(_TURNS):
            _press(settings, large, 1, rounds, seconds)
        _say(_told_of(large))
        with as_owner(settings) as connection:
            for block in _INDEXES:
                connection.execute(_SQL[block])
        _analyze(settings)
        far = _searched(settings, rounds, seconds)
    return _report(rounds * _TURNS, small, large, {small.receipts: near, large.receipts: far})


def _press(settings: Settings, size: _Size, replicas: int, rounds: int, seconds: float) -> None:
    """Measure some rounds after one that only warms."""
    if not size.requests:
        header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
        size.requests = [get_request("127.0.0.1", f"/receipt/{i}", [header]) for i in sample_ids(settings, _IDS)]
    processes = [process for name in ("postgres", "ray") if (process := process_of(settings, name)) is not None]
    here = [("127.0.0.1", settings.serve.port)]
    Side(here, size.requests, processes, _RATE).measure(seconds)
    side = size.sides.setdefault(replicas, Side(here, size.requests, processes, _RATE))
    for _ in range(rounds):
        side.measure(seconds)


def _deploy(settings: Settings, replicas: int, *, searches: bool = False) -> None:
    """Let a fixed number of replicas answer lookups, and searches where asked for; beside them only sign-in."""
    address = ray_address(settings)
    from cluster.deploy import deploy  # noqa: PLC0415  Ray reads, when imported, what the line above sets

    serve = settings.serve.model_copy(update={"min_replicas": replicas, "max_replicas": replicas})
    changed = settings.model_copy(update={"serve": serve})
    names = {"lookup", *(("fuzzy", "semantic") if searches else ())}
    wanted = [one for one in capabilities_of(changed) if one.name in names or one == SIGN_IN]
    deploy(changed, address, capabilities=wanted)


def _multiply(settings: Settings) -> None:
    with as_owner(settings) as connection:
        connection.execute(_SQL["drop_search_indexes"])
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        for years in range(1, _TIMES):
            connection.execute(_SQL["copy_year"], {"years": years})
            sys.stderr.write(f"  {years + 1} of {_TIMES} years of receipts\n")
    _analyze(settings)


def _analyze(settings: Settings) -> None:
    with psycopg.connect(admin_dsn(settings), autocommit=True) as connection:
        connection.execute(_SQL["analyze_receipts"])


def _searched(settings: Settings, rounds: int, seconds: float) -> dict[str, Side]:
    """Measure every kind of search with a replica of each."""
    _deploy(settings, 1, searches=True)
    sides = sides_of(settings, ask_about(settings))
    press(sides, rounds, seconds)
    return sides


def _report(rounds: int, small: _Size, large: _Size, searched: Mapping[int, dict[str, Side]]) -> Report:
    results = [*_told_of(small), *_told_of(large)]
    for receipts, sides in searched.items():
        results += _told_searched(receipts, sides)
    costs = {count: _cost_us(side) for count, side in small.sides.items()}
    dearest = max(costs.values())
    cores = _TARGET * dearest / 1e6 / _BUSY
    results.append(Result(f"cores for {_TARGET:,} lookups/s, each busy for {_BUSY:.0%}", cores, "cores"))
    one, many = small.sides[1], large.sides[1]
    dearer = _cost_us(many) / _cost_us(one)
    later = _p50_ms(many) / _p50_ms(one)
    failed = sum(o.failed for size in (small, large) for s in size.sides.values() for o in (*s.saturated, *s.steady))
    sizes = f"{large.receipts:,} receipts / {small.receipts:,}"
    return Report(
        "growth",
        rounds,
        results,
        (
            Bar(f"processor time of a lookup, {sizes}", dearer, f"<= {_WITHIN}", dearer <= _WITHIN),
            Bar(f"p50 at {_RATE:.0f}/s, {sizes}", later, f"<= {_WITHIN}", later <= _WITHIN),
            Bar("failed lookups", failed, "0", failed == 0),
            *bars(searched[large.receipts]),
        ),
    )


def _say(results: Sequence[Result]) -> None:
    """Tell what is known so far: the whole takes an hour."""
    for one in results:
        sys.stderr.write(f"  {one.what}: {one.value:,.1f} {one.unit}\n")


def _told_searched(receipts: int, sides: Mapping[str, Side]) -> list[Result]:
    return [result for what, side in sides.items() for result in told(f"{receipts:,} receipts, {what}", side)]


def _told_of(size: _Size) -> list[Result]:
    return [result for count in size.sides for result in _told(size, count)]


def _told(size: _Size, count: int) -> list[Result]:
    side, what = size.sides[count], f"{size.receipts:,} receipts, {count} replica{'s' * (count > 1)}"
    parts = [Result(f"{what}: processor time, {kind}", side.microseconds(kind), "µs") for kind in _OURS]
    latencies = [
        Result(f"{what}: p{share * 100:.0f} at {_RATE:.0f}/s", statistics.median(side.percentiles_ms(share)), "ms")
        for share in (0.5, 0.95)
    ]
    rate = Result(f"{what}: saturated", statistics.median(side.per_second()), "/s")
    return [rate, Result(f"{what}: processor time", _cost_us(side), "µs"), *parts, *latencies]


def _cost_us(side: Side) -> float:
    """Return the processor time of a lookup at saturation, all of ours together."""
    return sum(side.microseconds(kind) for kind in _OURS)


def _p50_ms(side: Side) -> float:
    return statistics.median(side.percentiles_ms(0.5))
