"""The two that look for people: ours, and trigrams on a PostgreSQL that has pg_trgm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg

from cluster.postgres import admin_dsn
from configs.settings import Settings
from receipts.access import Principal, Role
from receipts.database import DatabaseRole, connect, conninfo
from receipts.sql import load_sql
from serve_apps.people_names import typed_words
from serve_apps.scoped import scope
from serve_apps.search_people import list_namesakes, rank

_SQL = load_sql("cluster.benchmarks", "people")
_CANDIDATES = 200  # of the peer, to be ranked as ours are: more than ours fetches
_PORTION = 50_000
_REGIONS = 8

Row = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """What one side found for each query, and what each took: processor and wall milliseconds."""

    names: list[list[str]] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)


def fill_ours(settings: Settings, names: Sequence[str]) -> float:
    """Enter a customer for each name; returns the seconds it took, the vocabulary's upkeep included."""
    began = time.perf_counter()
    number = 0
    with psycopg.connect(admin_dsn(settings)) as connection:
        for some in _portions(names):
            with connection.cursor().copy(_SQL["copy_customers"]) as copy:
                for name in some:
                    number += 1
                    region = f"{{{number % _REGIONS + 1}}}"
                    copy.write_row(
                        (f"B{number:08d}", name, name, name, "", "", "", "2020-01-01", 1, region, b"\0" * 32)
                    )
            connection.commit()
    with psycopg.connect(admin_dsn(settings), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


def sizes(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield what people are found by, with bytes; and how many words there are."""
    with psycopg.connect(admin_dsn(settings)) as connection:
        for what, size in connection.execute(_SQL["list_sizes"]):
            yield str(what), int(size)
        row = connection.execute(_SQL["count_words"]).fetchone()
        yield "words", int(row[0]) if row else 0


def ask_ours(settings: Settings, queries: Sequence[str]) -> Found:
    """Look for each name as a replica does: the serving role, a scope of all regions, likeness in Python."""
    with connect(settings, DatabaseRole.AUTH) as connection:
        row = connection.execute(_SQL["open_everything"]).fetchone()
    assert row is not None, "a platform has the principal rep.all"
    return asyncio.run(_ask(settings, Principal("rep.all", Role.CS_REP, str(row[0])), queries))


async def _ask(settings: Settings, principal: Principal, queries: Sequence[str]) -> Found:
    found = Found()
    login = conninfo(settings, DatabaseRole.API)
    async with await psycopg.AsyncConnection.connect(login, autocommit=True) as connection:
        spent = _meter(connection.info.backend_pid)
        for query in queries:
            began, before = time.perf_counter(), spent()
            async with scope(connection, principal):
                names = [each.name_norm for each in await list_namesakes(connection, query)]
            _note(found, names, began, spent() - before)
    return found


class Trigrams:
    """The peer, on a server that runs on this machine: its processor time is read from /proc."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self.version = self._connection.info.server_version // 10_000

    def fill(self, names: Sequence[str]) -> int:
        """Enter distinct names under a GIN index; returns its size in bytes."""
        script = resources.files("cluster.benchmarks").joinpath("people_trigram.sql").read_text(encoding="utf-8")
        self._connection.execute(script.encode())
        with self._connection.cursor().copy("COPY receipts_bench.names FROM STDIN") as copy:
            for name in names:
                copy.write_row((name,))
        self._connection.execute("CREATE INDEX names_like ON receipts_bench.names USING gin (name_norm gin_trgm_ops)")
        self._connection.execute("VACUUM ANALYZE receipts_bench.names")
        row = self._connection.execute("SELECT pg_relation_size('receipts_bench.names_like')").fetchone()
        return int(row[0]) if row else 0

    def ask(self, queries: Sequence[str]) -> dict[str, Found]:
        """Look for each name: those with a trigram similarity of 0.3 or more, in the order of each of RANKINGS."""
        ranked = {ranking: Found() for ranking in RANKINGS}
        spent = _meter(self._connection.info.backend_pid)
        for query in queries:
            began, before = time.perf_counter(), spent()
            words = typed_words(query)
            rows: list[Any] = self._connection.execute(
                "SELECT name_norm, bearers FROM receipts_bench.list_names(%s, %s)", (" ".join(words), _CANDIDATES)
            ).fetchall()
            used = spent() - before
            for ranking, found in ranked.items():
                _note(found, RANKINGS[ranking](words, rows), began, used)
        return ranked

    def close(self) -> None:
        """Take away what was made."""
        self._connection.execute("DROP SCHEMA IF EXISTS receipts_bench CASCADE")
        self._connection.close()


def _by_trigrams(words: Sequence[str], rows: Sequence[Row]) -> list[str]:
    del words
    return [name for name, _ in rows]


def _as_ours(words: Sequence[str], rows: Sequence[Row]) -> list[str]:
    return [each.name_norm for each in rank(words, rows)]


BY_TRIGRAMS, AS_OURS = "its own order", "re-ranked as ours, nicknames included"
RANKINGS: dict[str, Callable[[Sequence[str], Sequence[Row]], list[str]]] = {
    BY_TRIGRAMS: _by_trigrams,
    AS_OURS: _as_ours,
}


def _meter(backend: int) -> Callable[[], float]:
    """Return a reading of the milliseconds of processor time that a backend of this machine has used."""
    path = Path(f"/proc/{backend}/schedstat")
    return lambda: int(path.read_text().split()[0]) / 1e6


def _note(found: Found, names: list[str], began: float, processor_ms: float) -> None:
    found.names.append(names)
    found.processor_ms.append(processor_ms)
    found.wall_ms.append((time.perf_counter() - began) * 1_000)


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), _PORTION):
        yield names[first : first + _PORTION]
