"""Postgres held against the lake: counts and digests of buckets on both sides, rows only where a bucket differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5

import numpy as np
import polars as pl
from psycopg import IsolationLevel

from data_jobs.changes import NEVER
from data_jobs.declaration import Table
from data_jobs.sync_marks import find_watermark
from data_jobs.sync_snapshot import empty_of, read_pieces
from data_jobs.sync_writing import Connection, served
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs", "sync_verification")
_BETWEEN = "\x1f"  # values
_LISTED_BUCKETS = 512  # of 4,096: an eighth of the keys at a time
_EXAMPLES = 5
# Served columns that are not held against the lake, as sync_verification.sql says why.
_LEFT_OUT = {
    "receipts": {"document", "received_at"},  # a repeat is received again, and Postgres keeps the first time
    "customer_profiles": {"region_ids"},
    "product_embeddings": {"embedding"},
}
_SCHEMA = {"bucket": pl.Int64, "key": pl.String, "waiting": pl.Boolean, "rows": pl.Int64, "digest": pl.Int64}


@dataclass(frozen=True, slots=True)
class Compared:
    """How Postgres compares with a version of the lake, by keys.

    `waiting` rows came through a gateway and are not refined yet; they are no difference. `surplus` rows are in
    Postgres only. `examples` name a few keys of customers, receipts or products that differ, and nothing else of them.
    """

    table: str
    version: int
    lake_rows: int
    postgres_rows: int
    waiting: int
    missing: int
    different: int
    surplus: int
    examples: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Say whether both sides hold the same."""
        return not (self.missing or self.different or self.surplus)


def compare(lake: Lake, connection: Connection, table: Table) -> Compared:
    """Hold Postgres against the version that its watermark names, or the newest where it has none.

    Costs one scan of either side, and one more for each eighth of the keys that differ. Sees Postgres at one instant,
    so that syncs and gateways may go on; the connection is in no transaction.
    """
    before, connection.isolation_level = connection.isolation_level, IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            version = find_watermark(connection, table)
            if version == NEVER and lake.exists(table.name):
                version = lake.open(table.name).version()
            return _compared(lake, connection, table, version)
    finally:
        connection.isolation_level = before


def find_surplus(lake: Lake, connection: Connection, table: Table, version: int) -> pl.DataFrame:
    """Return the keys, in the lake's types, that Postgres holds refined and a version of the lake does not."""
    with connection.transaction():
        ours, theirs = _lake_digests(lake, table, version), _postgres_digests(connection, table)
        rows = [*_differing_rows(lake, connection, table, version, _differing_buckets(ours, theirs))]
    keys = pl.concat([pl.Series("key", [], pl.String).to_frame(), *(_only_here(found).select("key") for found in rows)])
    schema = empty_of(table, [name for name in served(table).columns if name in table.key]).schema
    parts = keys.select(
        pl.col("key").str.split(_BETWEEN).list.get(place).alias(name) for place, name in enumerate(schema)
    )
    return parts.with_columns(pl.col(name).str.to_date() for name, kind in schema.items() if kind == pl.Date)


def _compared(lake: Lake, connection: Connection, table: Table, version: int) -> Compared:
    ours, theirs = _lake_digests(lake, table, version), _postgres_digests(connection, table)
    counts = {"missing": 0, "different": 0, "surplus": 0}
    examples: list[str] = []
    column = table.key[0]
    for rows in _differing_rows(lake, connection, table, version, _differing_buckets(ours, theirs)):
        found = {"missing": _missing(rows), "different": _different(rows), "surplus": _only_here(rows)}
        for name, frame in found.items():
            counts[name] += frame.height
            ids = frame["key"].head(_EXAMPLES - len(examples)).str.split(_BETWEEN).list.first()
            examples += [f"{column} {one}: {name}" for one in ids]
    waiting = theirs["waiting"]
    totals = [int(frame["rows"].sum()) for frame in (ours, theirs.filter(~waiting), theirs.filter(waiting))]
    return Compared(table.name, version, *totals, **counts, examples=tuple(examples))


def _missing(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("digest_here").is_null())


def _different(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("digest") != pl.col("digest_here")) & ~pl.col("waiting"))


def _only_here(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("digest").is_null() & ~pl.col("waiting"))


def _differing_buckets(ours: pl.DataFrame, theirs: pl.DataFrame) -> list[int]:
    joined = ours.join(theirs.filter(~pl.col("waiting")), on="bucket", how="full", coalesce=True, suffix="_here")
    same = pl.col("digest").eq_missing(pl.col("digest_here")) & pl.col("rows").eq_missing(pl.col("rows_here"))
    return joined.filter(~same)["bucket"].sort().to_list()


def _differing_rows(
    lake: Lake, connection: Connection, table: Table, version: int, buckets: Sequence[int]
) -> Iterator[pl.DataFrame]:
    """Yield the rows of buckets from both sides, joined by key: digest, and digest_here and waiting of Postgres."""
    for start in range(0, len(buckets), _LISTED_BUCKETS):
        some = buckets[start : start + _LISTED_BUCKETS]
        ours = _lake_digests(lake, table, version, some).select("key", "digest")
        theirs = _postgres_digests(connection, table, some).select("key", "waiting", digest_here="digest")
        yield ours.join(theirs, on="key", how="full", coalesce=True)


def _postgres_digests(connection: Connection, table: Table, buckets: Sequence[int] | None = None) -> pl.DataFrame:
    values = {"buckets": None if buckets is None else list(buckets), "table": table.name}
    found = connection.execute(_SQL[f"digest_{served(table).relation}"], values).fetchall()
    return pl.DataFrame(found, schema=_SCHEMA, orient="row")


def _lake_digests(lake: Lake, table: Table, version: int, buckets: Sequence[int] | None = None) -> pl.DataFrame:
    """Return what `digest_*` answers of Postgres, made of a version of the lake."""
    sums = [pl.DataFrame(schema=_SCHEMA)]
    if version != NEVER:
        columns, texts = _texts(table)
        for piece in read_pieces(lake, table, version, columns):
            rows = _digested(table, piece.rows.select(texts))
            if buckets is None:
                sums.append(_summed(rows.with_columns(key=pl.lit(None, pl.String))))
            else:
                sums.append(rows.filter(pl.col("bucket").is_in(list(buckets))))
    return _summed(pl.concat(sums, how="diagonal"))


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    by = rows.group_by("bucket", "key", "waiting")
    return by.agg(pl.col("rows").sum(), pl.col("digest").bitwise_xor()).select(_SCHEMA.keys())


def _digested(table: Table, texts: pl.DataFrame) -> pl.DataFrame:
    """Turn rows of text into their buckets, keys and digests."""
    keys = texts.select(pl.concat_str([name for name in texts.columns if name in table.key], separator=_BETWEEN))
    key = keys.to_series()
    lines = texts.select(pl.concat_str(pl.all(), separator=_BETWEEN)).to_series()
    return pl.DataFrame(
        {
            "bucket": (_md5(key)[:, 0] >> 52).astype(np.int64),
            "key": key,
            "waiting": pl.repeat(value=False, n=key.len(), eager=True),
            "rows": pl.repeat(1, key.len(), dtype=pl.Int64, eager=True),
            "digest": _md5(lines)[:, 0].astype(np.int64),
        }
    )


def _md5(texts: pl.Series) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """Return the MD5 of each text as two numbers: no secret, but what Postgres and Python both have at hand."""
    digests = b"".join(md5(text.encode(), usedforsecurity=False).digest() for text in texts)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _texts(table: Table) -> tuple[list[str], list[pl.Expr]]:
    """Return the columns of the lake that are compared, and each as the text that both sides digest."""
    relation = served(table)
    kept = {n: e for n, e in relation.columns.items() if n not in _LEFT_OUT.get(relation.relation, set())}
    columns = sorted({name for expression in kept.values() for name in expression.meta.root_names()})
    schema = empty_of(table, columns).select(e.alias(n) for n, e in kept.items()).schema
    return columns, [_text(e, schema[n]).fill_null("").alias(n) for n, e in kept.items()]


def _text(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    match kind:
        case pl.Date():
            return value.dt.strftime("%Y-%m-%d")
        case pl.Datetime():
            return value.dt.epoch("us").cast(pl.String)
        case pl.Binary():
            return value.bin.encode("hex")
        case _:
            return value.cast(pl.String)
