"""What counting a lookup costs in a replica: our plain numbers, beside what a team would otherwise count with."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from data_jobs.ray_work import PrivateNode, joined
from loadtest.bench.report import Bar, Report, Result, against
from serve_apps.meters import REQUESTS, SECONDS, Answers, QuestionMeter

_ROUNDS = 5
_SHARED = 8  # lookups in a question: what a replica gathers at some thousands a second
_CPUS = 1
_STORE_BYTES = 80 * 1024 * 1024
_MOST_US = 5.0  # of some 130 that a lookup costs a replica
_EACH_MS = (0.4, 1.2, 2.1)  # waiting, the database, in all: which bucket it is hardly matters

Counts = Callable[[int], None]  # count so many lookups


class _Side(NamedTuple):
    """The counters and histograms of another library, which both have the same names for counting."""

    tokens: Any
    answers: Any
    waited: Any
    asked: Any
    total: Any
    sizes: Any


def measure(*, quick: bool) -> Report:
    """Return processor time per counted lookup, all ways of counting in turns."""
    lookups = 20_000 if quick else 200_000
    with (
        tempfile.TemporaryDirectory(
            prefix="rb-", dir="/tmp", ignore_cleanup_errors=True
        ) as folder,  # for Ray's sockets
        joined(PrivateNode(_CPUS, _STORE_BYTES, folder)),
    ):
        ways = {"ours": _ours(), "prometheus_client": _prometheus(), "ray.util.metrics": _ray()}
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(_ROUNDS + 1):
            for name, count in ways.items():
                some = lookups if name == "ours" else lookups // 10
                took = _microseconds(count, some)
                if number:  # the first one warms
                    spent[name].append(took)
    ours = statistics.median(spent["ours"])
    results: list[Result] = [
        against("counting a lookup", spent["ours"], "µs", peer, spent[peer]) for peer in ways if peer != "ours"
    ]
    bar = Bar("processor time for counting a lookup (µs)", ours, f"<= {_MOST_US:g}", ours <= _MOST_US)
    return Report("meters", _ROUNDS, results, (bar,))


def _microseconds(count: Counts, lookups: int) -> float:
    began = time.process_time()
    count(lookups)
    return (time.process_time() - began) / lookups * 1e6


def _ours() -> Counts:
    """Count as the short way, the coalescer and the tokens do."""
    answers, meter, tokens = Answers(), QuestionMeter(), {"remembered": 0}
    waited_s, asked_s, total_s = (ms / 1_000 for ms in _EACH_MS)

    def count(lookups: int) -> None:
        for _ in range(lookups // _SHARED):
            time.monotonic()
            for _ in range(_SHARED):
                began = time.perf_counter()
                tokens["remembered"] += 1
                meter.waited.add(waited_s)
                answers.add(200, time.perf_counter() - began + total_s)
            meter.sizes.add(_SHARED)
            meter.asked.add(asked_s, _SHARED)

    return count


def _prometheus() -> Counts:
    """Count the same with prometheus_client, its labels looked up beforehand."""
    registry = CollectorRegistry()

    def seconds(name: str) -> Histogram:
        return Histogram(name, name, ("of",), buckets=SECONDS, registry=registry).labels("lookup")

    waited, asked, total = seconds("waited_seconds"), seconds("asked_seconds"), seconds("request_seconds")
    sizes = Histogram("sizes", "sizes", buckets=REQUESTS, registry=registry)
    answers = Counter("answers", "answers", ("route", "status"), registry=registry).labels("lookup", "200")
    tokens = Counter("tokens", "tokens", ("outcome",), registry=registry).labels("remembered")
    return _counting(_Side(tokens, answers, waited, asked, total, sizes))


def _ray() -> Counts:
    """Count the same with Ray's metrics, which its agent on each node tells Prometheus."""
    from ray.util import metrics  # noqa: PLC0415  reads the environment of the node that was just made

    def seconds(name: str) -> metrics.Histogram:
        made = metrics.Histogram(name, name, boundaries=list(SECONDS), tag_keys=("of",))
        made.set_default_tags({"of": "lookup"})
        return made

    waited, asked, total = seconds("waited_seconds"), seconds("asked_seconds"), seconds("request_seconds")
    sizes = metrics.Histogram("sizes", "sizes", boundaries=list(REQUESTS))
    answers = metrics.Counter("answers", "answers", tag_keys=("status",))
    answers.set_default_tags({"status": "200"})
    tokens = metrics.Counter("tokens", "tokens", tag_keys=("outcome",))
    tokens.set_default_tags({"outcome": "remembered"})
    return _counting(_Side(tokens, answers, waited, asked, total, sizes))


def _counting(side: _Side) -> Counts:
    tokens, answers, waited, asked, total, sizes = side
    waited_s, asked_s, total_s = (ms / 1_000 for ms in _EACH_MS)

    def count(lookups: int) -> None:
        for number in range(lookups):
            began = time.perf_counter()
            tokens.inc()
            waited.observe(waited_s)
            asked.observe(asked_s)
            answers.inc()
            total.observe(time.perf_counter() - began + total_s)
            if number % _SHARED == 0:
                sizes.observe(_SHARED)

    return count
