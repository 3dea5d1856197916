"""What Bronze, Silver and Postgres hold of receipts, read in an order in which nothing can seem to be missing.

Silver is made from Bronze and Bronze from Postgres, so they are read in that order: what a later stage holds, an
earlier one has held before. Bronze is looked at once more in the end, for what left the outbox meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from configs.settings import Settings
from receipts.bronze import RECEIPTS
from receipts.database import DatabaseRole, connect
from receipts.errors import Unavailable
from receipts.lake import Lake, lake_of
from receipts.sql import load_sql

_SQL = load_sql("ingest", "evidence")
_SILVER, _UNFIT = "silver.receipts", "silver.quarantine"
_CURSOR = f"{_SILVER} from {RECEIPTS.name}"  # the application whose transaction is how far Silver has read Bronze
_ROWS = 20_000  # from the server at once: a few megabytes
_NEVER = -1

Schema = Mapping[str, Any]
_VERSION: Schema = {"receipt_id": pl.String, "digest": pl.Binary}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Frames of receipts; `digest` is the SHA-256 of a payload.

    bronze: receipt_id, digest, sequence, received_at, store_id, refused, settled (Postgres has to know of it),
    refined (Silver has read it). versions, serving, silver: receipt_id, digest. refusals: digest. pending: digest,
    refused. unfit: the sequences of Bronze rows that Silver could not take. `unsynced`: Postgres and Silver are at
    different versions, so they may differ.
    """

    bronze: pl.DataFrame
    versions: pl.DataFrame
    serving: pl.DataFrame
    refusals: pl.DataFrame
    pending: pl.DataFrame
    silver: pl.DataFrame
    unfit: pl.DataFrame
    unsynced: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What Postgres knows, and the versions of Bronze and Silver that it has followed."""

    frames: Mapping[str, pl.DataFrame]
    settled: int
    synced: int


def gather(settings: Settings) -> Evidence:
    """Read all three. Raises Unavailable when Postgres cannot be reached."""
    lake = lake_of(settings)
    silver, silver_version, refined = _read_silver(lake)
    before = _files(lake, lake.open(RECEIPTS.name).version()) if lake.exists(RECEIPTS.name) else set[str]()
    known = _read_postgres(settings)
    return Evidence(
        bronze=_read_bronze(lake, before & _files(lake, known.settled), _files(lake, refined)),
        silver=silver,
        unfit=_read_unfit(lake),
        unsynced=silver_version != known.synced,
        **known.frames,
    )


def _read_silver(lake: Lake) -> tuple[pl.DataFrame, int, int]:
    """Return Silver's receipts, its version, and the version of Bronze that it has read."""
    if not lake.exists(_SILVER):
        return pl.DataFrame(schema=_VERSION), _NEVER, _NEVER
    table = lake.open(_SILVER)
    refined = table.transaction_version(_CURSOR)
    rows = _scan(lake, table.file_uris(), {"receipt_id": pl.String, "payload_digest": pl.String})
    return rows.select("receipt_id", digest=_digest()), table.version(), _NEVER if refined is None else refined


def _read_unfit(lake: Lake) -> pl.DataFrame:
    columns: Schema = {"bronze_table": pl.String, "sequence": pl.Int64}
    rows = _scan(lake, lake.open(_UNFIT).file_uris() if lake.exists(_UNFIT) else [], columns)
    return rows.filter(pl.col("bronze_table") == RECEIPTS.name).select("sequence")


def _read_bronze(lake: Lake, settled: Collection[str], refined: Collection[str]) -> pl.DataFrame:
    columns: Schema = {
        "record_key": pl.String, "payload_digest": pl.String, "sequence": pl.Int64,
        "received_at": pl.Datetime("us", "UTC"), "store_id": pl.Int32, "refusal": pl.String,
    }  # fmt: skip
    files = lake.open(RECEIPTS.name).file_uris() if lake.exists(RECEIPTS.name) else []
    parts: dict[tuple[bool, bool], list[str]] = {(False, False): []}
    for file in files:
        parts.setdefault((file in settled, file in refined), []).append(file)
    return pl.concat(
        _scan(lake, uris, columns).select(
            pl.col("record_key").alias("receipt_id"),
            _digest().alias("digest"),
            *("sequence", "received_at", "store_id"),
            pl.col("refusal").is_not_null().alias("refused"),
            pl.lit(is_settled).alias("settled"),
            pl.lit(is_refined).alias("refined"),
        )
        for (is_settled, is_refined), uris in parts.items()
    )


def _files(lake: Lake, version: int) -> set[str]:
    return set() if version == _NEVER else set(lake.open(RECEIPTS.name, version).file_uris())


def _scan(lake: Lake, uris: list[str], columns: Schema) -> pl.DataFrame:
    if not uris:
        return pl.DataFrame(schema=columns)
    rows = pl.scan_parquet(uris, storage_options=dict(lake.storage_options), hive_partitioning=False)
    return rows.select(pl.col(name).cast(kind) for name, kind in columns.items()).collect()


def _digest() -> pl.Expr:
    return pl.col("payload_digest").str.decode("hex")


def _read_postgres(settings: Settings) -> _Known:
    shapes: dict[str, Schema] = {
        "versions": _VERSION,
        "serving": _VERSION,
        "refusals": {"digest": pl.Binary},
        "pending": {"digest": pl.Binary, "refused": pl.Boolean},
    }
    try:
        with connect(settings, DatabaseRole.INGEST) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            frames = {name: _read(connection, f"list_{name}", shape) for name, shape in shapes.items()}
            row: tuple[Any, ...] | None = connection.execute(_SQL["find_positions"]).fetchone()
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached: is the platform up?") from error
    if row is None:
        raise RuntimeError("find_positions answers one row, always")
    settled, synced = row
    return _Known(frames, settled, synced)


def _read(connection: psycopg.Connection[tuple[Any, ...]], block: str, schema: Schema) -> pl.DataFrame:
    """Fetch a relation in portions, so that the server's rows never stand in memory as Python objects at once."""
    frames = [pl.DataFrame(schema=schema)]
    with connection.cursor(block, binary=True) as cursor:
        cursor.execute(_SQL[block])
        while rows := cursor.fetchmany(_ROWS):
            frames.append(pl.DataFrame(rows, schema=schema, orient="row"))
    return pl.concat(frames)
