"""The portal as reps meet it: from a key to the result in the page, what a search costs, and a whole service centre."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import psutil

from cluster.benchmarks.filling import fill
from cluster.benchmarks.portal_browser import Seen, missing, watch
from cluster.benchmarks.portal_reps import one_by_one, sign_in, together
from cluster.benchmarks.portal_visitor import Event
from cluster.benchmarks.private_platform import extensible_platform
from cluster.benchmarks.processor_time import processor_seconds
from cluster.benchmarks.search import fill_products
from cluster.errors import PlatformError
from cluster.parts import process_of
from configs.settings import Settings
from loadtest.bench.report import Bar, Report, Result

_PROCESSES = 2
_PARTS = ("postgres", "gateway", "ray", "serve")
_HANDLED = ("load", "search", "open")  # the events among what a page asks for
_SEARCHERS = 4  # people who search one after another: each sees at most 2,000 customers an hour


def measure(*, quick: bool) -> Report:
    """Return times to the result in the page, processor time of a search, and events of hundreds of reps at once."""
    receipts, reps, searches, think_s, seconds = (5_000, 60, 5, 5.0, 15.0) if quick else (200_000, 500, 25, 10.0, 120.0)
    with extensible_platform(_PARTS, {"RECEIPTS_PORTAL__PROCESSES": str(_PROCESSES)}) as platform:
        settings = platform.settings
        fill(settings, receipts)
        fill_products(settings, with_vectors=not quick)
        platform.start("portal")
        people = sign_in(settings, reps + 2 * _SEARCHERS)
        readers, askers, crowd = people[:_SEARCHERS], people[_SEARCHERS : 2 * _SEARCHERS], people[2 * _SEARCHERS :]
        meter = partial(_spent, settings)
        one_by_one(settings, askers, 2, meter)  # warms replicas and processes
        lacks = missing()
        seen = None if lacks else watch(settings, readers, searches)
        alone, spent = one_by_one(settings, askers, searches, meter)
        events, begun = together(settings, crowd, think_s, seconds)
        memory = [child.memory_info().rss / 2**20 for kind, child in _members(settings) if kind == "processes"]
    what = f"{reps} reps, {think_s:g} s of thought before each event"
    late = [event for event in events if event.at >= begun]
    page = [Result(f"missing: {lacks}, so nothing is seen in a page", 0, "")] if seen is None else _page(seen)
    results = [*page, *_alone(alone, spent), *_crowd(what, late, seconds), _memory(memory)]
    return Report("portal", 1, results, _bars(what, seen, [*alone, *events], late))


def _page(seen: Seen) -> Iterator[Result]:
    for what, times in (
        ("Enter to the result in the page", seen.entered),
        ("last key to the result in the page, without Enter (280 ms of it the typing pause)", seen.paused),
    ):
        yield Result(f"{what}, median of {len(times)}", statistics.median(times), "ms")
        yield Result(f"{what}, p95", _percentile(times, 0.95), "ms")


def _alone(events: Sequence[Event], spent: dict[str, float]) -> Iterator[Result]:
    times = [event.took_ms for event in events if event.kind == "search"]
    yield Result(f"search event, one at a time, median of {len(times)}", statistics.median(times), "ms")
    for kind, seconds in spent.items():
        yield Result(f"processor time of a search, {kind}", seconds * 1_000 / len(times), "ms")


def _crowd(what: str, events: Sequence[Event], seconds: float) -> Iterator[Result]:
    handled = [event for event in events if event.kind in _HANDLED]
    yield Result(f"{what}: events", len(handled) / seconds, "/s")
    for kind in ("search", "open"):
        times = [event.took_ms for event in handled if event.kind == kind]
        yield Result(f"{what}: {kind}, median", statistics.median(times), "ms")
        yield Result(f"{what}: {kind}, p95", _percentile(times, 0.95), "ms")
    yield Result(f"{what}: any event, p95", _percentile([event.took_ms for event in handled], 0.95), "ms")


def _memory(processes: Sequence[float]) -> Result:
    return Result(f"memory of a process after it, the larger of {len(processes)}", max(processes), "MiB")


def _bars(what: str, seen: Seen | None, events: Sequence[Event], late: Sequence[Event]) -> Sequence[Bar]:
    failures = Counter(event.failure for event in events if event.failure)
    bars = [Bar(f"{what}: failures{_worst(failures)}", failures.total(), "0", not failures and bool(late))]
    if seen is not None:
        wrong = Counter(seen.failed)
        bars.append(Bar(f"searches in the browser that failed{_worst(wrong)}", wrong.total(), "0", not wrong))
    return bars


def _worst(failures: Counter[str]) -> str:
    return f" ({failures.most_common(1)[0][0]})" if failures else ""


def _members(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the portal's processes and what kind each is of."""
    leader = process_of(settings, "portal")
    if leader is None:
        raise PlatformError("The portal of the benchmark is gone; see its log above.")
    yield "supervision", leader
    for child in leader.children():
        words = child.cmdline()
        yield "processes" if "process" in words else "HAProxy", child


def _spent(settings: Settings) -> dict[str, float]:
    """Return the seconds of processor time by kind of process."""
    spent: dict[str, float] = {}
    for kind, member in _members(settings):
        own = member.cpu_times()
        seconds = own.user + own.system if kind == "supervision" else processor_seconds(member)
        spent[kind] = spent.get(kind, 0.0) + seconds
    return spent


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
