"""Searches over HTTP with everything on, beside trigrams and LIKE on a PostgreSQL that has pg_trgm."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import orjson
import psycopg

from cluster.administering import as_owner
from cluster.api_client import access_token
from cluster.benchmarks.filling import fill
from cluster.benchmarks.private_platform import private_platform
from cluster.benchmarks.search_questions import Questions, examples, questions
from cluster.benchmarks.side import Side
from cluster.parts import process_of
from cluster.postgres import admin_dsn
from configs.settings import Settings
from ingest.sources.synthetic.catalogue import catalogue
from loadtest.bench.http_driver import post_request
from loadtest.bench.report import Bar, Report, Result
from receipts.database import DatabaseRole, connect
from receipts.embedding import Embedder, product_digest
from receipts.products import search_text
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "search")
_PEER_SQL = load_sql("cluster.benchmarks", "search_trigram")
_FIND = "SELECT * FROM receipts_bench_search.find(%s, %s, %s, %s, %s, %s, %s, %s)"
_MAKE = ("make_1", "make_2", "make_3", "make_4", "make_5")
_INDEX = ("index_1", "index_2", "index_3", "index_4")
_PEER = "trigrams and LIKE on PostgreSQL 15"
_RATE = 20.0  # searches/s when latencies are measured
_EXAMPLES = 600
TODAY = date(2026, 11, 1)  # the day after the last of the receipts
_FIRST = TODAY - timedelta(days=60)  # people ask for what they bought lately
# what, its path, the most that its p95 may be (issue 6)
ROUTES = (
    ("fuzzy", "/search/fuzzy", 30.0),
    ("semantic", "/search/", 60.0),
    ("sentence", "/search/", 60.0),
)


def measure(*, quick: bool, postgres15: str | None = None) -> Report:
    """Return latencies at a fixed rate, rates at saturation and processor time by kind of search."""
    receipts, rounds, seconds = (20_000, 1, 5.0) if quick else (1_000_000, 3, 10.0)
    with private_platform(("postgres", "gateway", "ray", "serve")) as settings:
        fill(settings, receipts)
        fill_products(settings)
        asked = ask_about(settings)
        sides = sides_of(settings, asked)
        press(sides, rounds, seconds)
        results = [result for what, side in sides.items() for result in told(what, side)]
        results += _of_peer(settings, postgres15, asked)
    return Report("search", rounds, results, bars(sides))


def fill_products(settings: Settings, *, with_vectors: bool = True) -> None:
    """Enter the synthetic catalogue with its vectors, as the sync does, and let Postgres know its tables.

    Without vectors products are found by their names alone: enough to see that a page works, and sooner there.
    """
    products = {product.sku: product for product in catalogue()}.values()
    kinds = {product.sku: (product.description, product.department, product.category) for product in products}
    texts = {product_digest(*kind): kind for kind in kinds.values()}
    vectors = Embedder().embed_products(list(texts.values())) if with_vectors else []
    with as_owner(settings) as connection:
        connection.execute(_SQL["drop_nearest"])
    with connect(settings, DatabaseRole.PIPELINE) as connection, connection.cursor() as cursor:
        columns = ("description", "department", "category")
        cursor.executemany(
            _SQL["enter_product"],
            [
                {"sku": sku, "search_text": search_text(*kind), "text_digest": product_digest(*kind)}
                | dict(zip(columns, kind, strict=True))
                for sku, kind in kinds.items()
            ],
        )
        cursor.executemany(
            _SQL["enter_vector"],
            [
                {"text_digest": digest, "embedding": f"[{','.join(map(str, vector))}]", "model": Embedder.model_name}
                for digest, vector in zip(texts, vectors, strict=with_vectors)
            ],
        )
    with as_owner(settings) as connection:
        connection.execute(_SQL["create_nearest"])
    with psycopg.connect(admin_dsn(settings), autocommit=True) as connection:
        connection.execute(_SQL["analyze_searched"])


def ask_about(settings: Settings) -> Questions:
    """Return questions about receipts of the last weeks."""
    return questions(examples(settings, _EXAMPLES, _FIRST, TODAY), TODAY)


def sides_of(settings: Settings, asked: Questions) -> dict[str, Side]:
    """Return what is measured, by kind of search."""
    header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
    processes = [process for name in ("postgres", "ray") if (process := process_of(settings, name)) is not None]
    here = "127.0.0.1"
    bodies = {"fuzzy": asked.fuzzy, "semantic": asked.semantic, "sentence": asked.sentence}
    return {
        what: Side(
            [(here, settings.serve.port)],
            [post_request(here, path, orjson.dumps(body), [header]) for body in bodies[what]],
            processes,
            _RATE,
            connections=8,
        )
        for what, path, _ in ROUTES
    }


def press(sides: dict[str, Side], rounds: int, seconds: float) -> None:
    """Measure in turns, after a round that only warms."""
    for number in range(rounds + 1):
        for side in sides.values():
            side.measure(seconds)
            if number == 0:
                side.forget()


def told(what: str, side: Side) -> Iterator[Result]:
    """Yield what was seen of a kind of search."""
    for share in (0.5, 0.95, 0.99):
        yield Result(
            f"{what}: p{share * 100:.0f} at {_RATE:.0f}/s", statistics.median(side.percentiles_ms(share)), "ms"
        )
    rate = statistics.median(side.per_second())
    kinds = sorted({kind for spent in side.spent for kind in spent})
    costs = {kind: side.microseconds(kind) / 1_000 for kind in kinds}
    yield Result(f"{what}: saturated, 8 connections", rate, "/s")
    yield Result(f"{what}: searches a second and core", 1_000 / sum(costs.values()), "/s")
    for kind, cost in costs.items():
        yield Result(f"{what}: processor time, {kind}", cost, "ms")
    for outcome in (*side.saturated, *side.steady):
        for how, count in outcome.failures.items():
            yield Result(f"{what}: failed, {how}", count, "")


def bars(sides: dict[str, Side]) -> list[Bar]:
    """Return what the searches must reach."""
    found: list[Bar] = []
    for what, _, most_ms in ROUTES:
        p95 = statistics.median(sides[what].percentiles_ms(0.95))
        failed = sum(outcome.failed for outcome in (*sides[what].saturated, *sides[what].steady))
        found.append(Bar(f"{what}: p95 at {_RATE:.0f}/s (ms)", p95, f"< {most_ms:.0f}", p95 < most_ms))
        found.append(Bar(f"{what}: failed", failed, "0", failed == 0))
    return found


def _of_peer(settings: Settings, dsn: str | None, asked: Questions) -> list[Result]:
    """Ask a flat table of the same receipts the same, without HTTP, security or an audit trail."""
    if dsn is None:
        return [Result("missing: a PostgreSQL with pg_trgm (--postgres15), so nothing is compared", 0, "")]
    with psycopg.connect(dsn, autocommit=True) as theirs:
        for block in _MAKE:
            theirs.execute(_PEER_SQL[block])
        with (
            psycopg.connect(admin_dsn(settings)) as ours,
            ours.cursor().copy(_SQL["export_flat"]) as out,
            theirs.cursor().copy(_PEER_SQL["copy"]) as into,
        ):
            for data in out:
                into.write(data)
        for block in _INDEX:
            theirs.execute(_PEER_SQL[block])
        took = asyncio.run(_timed(dsn, asked.peer))
        theirs.execute(_PEER_SQL["drop"])
    cuts = statistics.quantiles(took, n=100)
    return [Result(f"{_PEER}: fuzzy, p{share} one at a time", cuts[share - 1], "ms") for share in (50, 95, 99)]


async def _timed(dsn: str, asked: Sequence[dict[str, object]]) -> list[float]:
    """Return milliseconds of each search, asked one after the other on one connection."""
    took: list[float] = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("SET pg_trgm.similarity_threshold = 0.3")
        for question in asked:
            started = time.perf_counter()
            await (await connection.execute(_FIND, list(question.values()))).fetchall()
            took.append((time.perf_counter() - started) * 1_000)
    return took
