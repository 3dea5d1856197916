"""Receipts per second through the gateway, acked and readable, against the bare COPY of the same documents."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from cluster.benchmarks.filling import fill, plan_of
from cluster.benchmarks.private_platform import private_platform
from cluster.postgres import admin_dsn
from configs.settings import Settings
from ingest.sources.synthetic.history import history_receipts
from ingest.till import send
from loadtest.bench.report import Report, against


def measure(*, quick: bool) -> Report:
    """Return the rate of batched receipts, the gateway's and a raw COPY's in turn."""
    count, rounds = (2_000, 3) if quick else (20_000, 5)
    with private_platform(("postgres", "gateway")) as settings:
        fill(settings, 500)  # stores, customers and a warm gateway
        pairs = [_pair(settings, list(history_receipts(plan_of(count, seed)))) for seed in range(2, rounds + 2)]
    what = "receipts acked and readable, batches of one stream"
    peer = "COPY of the same JSON into a bare table"
    return Report("ingest", rounds, (against(what, [a for a, _ in pairs], "/s", peer, [b for _, b in pairs]),))


def _pair(settings: Settings, records: Sequence[str]) -> tuple[float, float]:
    began = time.perf_counter()
    send(records, table="retail.pos.receipts", target=f"{settings.ingest.host}:{settings.ingest.port}")
    ours = len(records) / (time.perf_counter() - began)
    with psycopg.connect(admin_dsn(settings)) as connection:  # no process role may make temporary tables
        connection.execute("CREATE TEMP TABLE bare (document text NOT NULL) ON COMMIT DROP")
        began = time.perf_counter()
        with connection.cursor().copy("COPY bare FROM STDIN") as copy:
            for record in records:
                copy.write_row((record,))
        return ours, len(records) / (time.perf_counter() - began)
