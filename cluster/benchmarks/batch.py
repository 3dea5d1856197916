"""Many receipts in one request, everything on."""

from __future__ import annotations

import json
import statistics

from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.lookup import sample_ids
from cluster.benchmarks.private_platform import private_platform
from loadtest.bench.http_driver import post_request, run
from loadtest.bench.report import Bar, Report, Result

_IDS = 500  # receipts in one request
_CONNECTIONS = 4
_BAR = 10_000  # receipts/s (issue 5)


def measure(*, quick: bool) -> Report:
    """Return the receipts a second that a program gets."""
    receipts, rounds, seconds = (5_000, 3, 3.0) if quick else (1_000_000, 5, 5.0)
    with private_platform(("postgres", "gateway", "ray", "serve")) as settings:
        fill(settings, receipts)
        ids = sample_ids(settings)
        header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
        bodies = [json.dumps({"receipt_ids": ids[at : at + _IDS]}).encode() for at in range(0, len(ids), _IDS)]
        requests = [post_request("127.0.0.1", "/receipt/batch", body, [header]) for body in bodies]
        outcomes = [
            run([("127.0.0.1", settings.serve.port)], requests, _CONNECTIONS, seconds) for _ in range(rounds + 1)
        ][1:]  # the first one warms
    rate = statistics.median(outcome.per_second * _IDS for outcome in outcomes)
    p95 = statistics.median(outcome.percentile_ms(0.95) for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    return Report(
        "batch",
        rounds,
        (Result("receipts", rate, "/s"), Result(f"p95 of {_IDS} receipts, saturated", p95, "ms")),
        (Bar("receipts/s", rate, f">= {_BAR:,}", rate >= _BAR), Bar("failed batches", failed, "0", failed == 0)),
    )
