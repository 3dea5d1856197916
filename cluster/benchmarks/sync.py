"""A back-fill from the lake into Postgres, against a raw COPY of the same rows into the same indexed table."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import polars as pl
import psycopg
from deltalake import write_deltalake

from cluster import postgres
from cluster.benchmarks.filling import plan_of
from cluster.benchmarks.private_platform import private_platform
from configs.settings import Settings
from data_jobs.declaration import ROW, Transform, polars_schema
from data_jobs.sync import sync
from data_jobs.sync_verification import compare
from data_jobs.tables import silver_receipts, silver_stores
from ingest.sources.synthetic.history import history_receipts, history_stores
from ingest.sources.synthetic.plan import Plan
from loadtest.bench.report import Bar, Report, Result, against
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "sync")
_RECEIVED_AT = datetime(2026, 11, 1, tzinfo=UTC)
_CHUNK_ROWS = 50_000  # a file of the lake each
_WRITE_BYTES = 1024 * 1024
_ROUNDS = 3
_BAR = 0.6
_TABLE = silver_receipts.TABLE


def measure(*, quick: bool) -> Report:
    """Return rows/s of both, in turn; the peer's rows lie rendered in a file before its clock starts."""
    receipts = 100_000 if quick else 2_000_000
    with private_platform(("postgres",)) as settings, tempfile.TemporaryDirectory(prefix="rb-") as folder:
        lake, raw = lake_of(settings), Path(folder) / "receipts.tsv"
        _fill(lake, raw, plan_of(receipts))
        pairs = [_round(settings, lake, raw, receipts, ours_first=number % 2 == 1) for number in range(_ROUNDS)]
        verified, differing = _verify(settings, lake)
    return _report(pairs, receipts / verified, differing)


def _report(pairs: list[tuple[float, float]], verified: float, differing: int) -> Report:
    ours, peer = ([pair[side] for pair in pairs] for side in (1, 0))
    rates = against("back-fill", ours, "rows/s", "raw COPY of rendered rows, one transaction", peer)
    ratio = rates.ratio or 0.0
    bars = (
        Bar("back-fill against raw COPY", ratio, f">= {_BAR}", ratio >= _BAR),
        Bar("rows that differ afterwards", differing, "0", differing == 0),
    )
    return Report("sync", len(pairs), (rates, Result("verify", verified, "rows/s")), bars)


def _round(settings: Settings, lake: Lake, raw: Path, receipts: int, *, ours_first: bool) -> tuple[float, float]:
    """Return rows/s of the peer and of ours. They take turns in being first: what runs beside them comes and goes."""
    if ours_first:
        ours = _back_fill(settings, lake)
        return receipts / _copy(settings, raw), receipts / ours
    return receipts / _copy(settings, raw), receipts / _back_fill(settings, lake)


def _back_fill(settings: Settings, lake: Lake) -> float:
    _clear(settings)
    began = time.perf_counter()
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        for _ in sync(lake, connection, [_TABLE]):
            pass
    return time.perf_counter() - began


def _copy(settings: Settings, raw: Path) -> float:
    """Copy as the superuser: Postgres takes no COPY from a role that row-level security restricts."""
    _clear(settings)
    began = time.perf_counter()
    with (
        psycopg.connect(postgres.admin_dsn(settings)) as owner,
        raw.open("rb") as source,
        owner.cursor().copy(_SQL["copy_receipts"]) as copy,
    ):
        while some := source.read(_WRITE_BYTES):
            copy.write(some)
    return time.perf_counter() - began


def _clear(settings: Settings) -> None:
    with psycopg.connect(postgres.admin_dsn(settings)) as owner:
        owner.execute(_SQL["clear_receipts"])


def _verify(settings: Settings, lake: Lake) -> tuple[float, int]:
    began = time.perf_counter()
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        found = compare(lake, connection, _TABLE)
    return time.perf_counter() - began, found.missing + found.different + found.surplus


def _fill(lake: Lake, raw: Path, plan: Plan) -> None:
    """Put the plan's receipts into Silver, and rendered as the table has them into a file."""
    stores = pl.DataFrame({"payload": list(history_stores(plan))})
    read = {"silver.stores": _refined(stores, silver_stores.TABLE.transform, "store_id", {})}
    texts = history_receipts(plan)
    with raw.open("wb") as target:
        while some := list(islice(texts, _CHUNK_ROWS)):
            rows = _refined(pl.DataFrame({"payload": some}), _TABLE.transform, "receipt_id", read)
            rows = rows.select(_TABLE.schema.names).cast(polars_schema(_TABLE.schema))
            write_deltalake(lake.ensure(_TABLE.lake_table), rows.to_arrow(), mode="append")
            _render(rows).write_csv(target, include_header=False, separator="\t", quote_style="never", null_value="\\N")


def _refined(
    rows: pl.DataFrame, transform: Transform | None, key: str, read: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Give payloads the envelope that Bronze gives them, and refine them."""
    assert transform is not None, "stores and receipts are refined by a transform"
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in rows["payload"]]
    envelope = rows.with_row_index(ROW).with_columns(
        record_key=pl.col("payload").str.extract(f'"{key}": ?"?(\\w+)'),  # a path through JSON takes ten times as long
        received_at=pl.lit(_RECEIVED_AT).cast(pl.Datetime("us", "UTC")),
        sequence=pl.col(ROW).cast(pl.Int64),
        payload_digest=pl.Series(digests),
    )
    return transform(envelope, read)


def _render(rows: pl.DataFrame) -> pl.DataFrame:
    digest = "\\\\x" + pl.col("payload_digest")
    plain = ("store_id", "region_id", "receipt_type", "purchased_at", "purchased_on", "customer_id", "total_cents")
    return rows.select(
        "receipt_id",
        *plain,
        *(pl.format("{{{}}}", pl.col(name).list.join(",")).alias(name) for name in ("card_last4", "skus")),
        pl.col("document").str.replace_all("\\", "\\\\", literal=True),
        digest.alias("payload_digest"),
        digest.alias("first_digest"),
        "received_at",
    )
