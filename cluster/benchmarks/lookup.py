"""Receipt lookup over HTTP, everything on, against the naked endpoint a team would otherwise write."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.private_platform import private_platform
from configs.settings import Settings
from loadtest.bench.http_driver import Outcome, drive, get_request
from loadtest.bench.report import Bar, Report, Result, against
from receipts.database import DatabaseRole, connect, conninfo

_CONNECTIONS = 32
_RATE = 300.0  # requests/s for the latency at a fixed rate: what both sides can hold on two cores
_IDS = 5_000
_PATIENCE_S = 30.0


def measure(*, quick: bool) -> Report:
    """Return requests/s at saturation and p95 at a fixed rate, ours and the peer's in turn."""
    receipts, rounds, seconds = (5_000, 3, 4.0) if quick else (100_000, 5, 8.0)
    with private_platform(("postgres", "gateway", "ray", "serve")) as settings:
        fill(settings, receipts)
        ids = _sample_ids(settings)
        header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
        with _naked_peer(settings) as peer_port:
            ours = (settings.serve.port, [get_request("127.0.0.1", f"/receipt/{i}", [header]) for i in ids])
            peer = (peer_port, [get_request("127.0.0.1", f"/receipt/{i}") for i in ids])
            pairs = [(_round(ours, seconds), _round(peer, seconds)) for _ in range(rounds + 1)][1:]  # first one warms
            steady = [(_round(ours, seconds, _RATE), _round(peer, seconds, _RATE)) for _ in range(rounds)]
    return _report(rounds, pairs, steady)


def _report(rounds: int, pairs: Sequence[tuple[Outcome, Outcome]], steady: Sequence[tuple[Outcome, Outcome]]) -> Report:
    peer = "FastAPI + uvicorn + psycopg pool, no security"
    rates = against(
        "lookups, saturated", [a.per_second for a, _ in pairs], "/s", peer, [b.per_second for _, b in pairs]
    )
    ours_ms, peer_ms = ([pair[i].percentile_ms(0.95) for pair in steady] for i in (0, 1))
    p95 = against(f"p95 at {_RATE:.0f}/s", ours_ms, "ms", peer, peer_ms)
    failed = sum(a.failed for a, _ in (*pairs, *steady))
    bars = (
        Bar(
            "lookup p95 (ms) at a fixed rate, security and audit on", statistics.median(ours_ms), "< 10", p95.value < 10
        ),
        Bar("failed lookups", failed, "0", failed == 0),
    )
    return Report("lookup", rounds, (rates, p95, Result("failed", failed, "answers")), bars)


def _round(side: tuple[int, Sequence[bytes]], seconds: float, rate: float | None = None) -> Outcome:
    port, requests = side
    return asyncio.run(drive(("127.0.0.1", port), requests, _CONNECTIONS, seconds, rate))


def _sample_ids(settings: Settings) -> list[str]:
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        found = connection.execute("SELECT receipt_id FROM retail.receipts ORDER BY md5(receipt_id) LIMIT %s", (_IDS,))
        return [str(row[0]) for row in found]


@contextmanager
def _naked_peer(settings: Settings) -> Generator[int]:
    """Serve the peer on a free port, as the role that row-level security does not restrict."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "loadtest.bench.naked_lookup", str(port)]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    try:
        if peer.stdin is not None:
            peer.stdin.write(conninfo(settings, DatabaseRole.PIPELINE) + "\n")
            peer.stdin.close()
        _await_port(port)
        yield port
    finally:
        peer.terminate()
        peer.wait(_PATIENCE_S)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
