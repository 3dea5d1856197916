"""Stores found by perturbed names: how often the one who is meant comes first, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import quantiles

from cluster.evaluations.people import Score
from cluster.evaluations.perturbing import STORES, seeded
from ingest.sources.overlay.network import network
from receipts.text import normalise
from serve_apps.understanding.query import StoreNames
from serve_apps.understanding.stores import gazetteer, match_store

_BEFORE = ("", "North ", "South ", "East ", "West ", "Upper ", "Mount ")
_AFTER = ("", " Heights", " Township", " Square", " Park", " Village", " Hills", " Center")


@dataclass(frozen=True, slots=True)
class StoresReport:
    """What was found among so many stores; times are of one name in milliseconds, this thread's processor."""

    stores: int
    scores: tuple[Score, ...]
    p50_ms: float
    p95_ms: float

    def recall(self) -> float:
        """Return the share of names whose store came first."""
        return sum(score.first for score in self.scores) / max(sum(score.asked for score in self.scores), 1)


def chain(count: int) -> list[StoreNames]:
    """Return so many stores: the chain's own, the busiest first, then its towns with words before and after."""
    own = [StoreNames(s.store.store_id, s.store.name, tuple(s.store.aliases)) for s in network()]
    taken = {normalise(name) for store in own for name in (store.name, *store.aliases)}
    towns = [store.name for store in own if " " not in store.name]
    made: list[StoreNames] = []
    for before, after in product(_BEFORE, _AFTER):
        for town in towns:
            name = f"{before}{town}{after}"
            if normalise(name) not in taken:
                taken.add(normalise(name))
                made.append(StoreNames(100_000 + len(made), name))
    seeded(count).shuffle(made)
    return (own + made)[:count]


def evaluate_stores(stores: Sequence[StoreNames], *, queries: int = 1_000, seed: int = 1) -> StoresReport:
    """Look for perturbed names and aliases of stores."""
    known = gazetteer(stores)
    names = [(store.store_id, name) for store in stores for name in (store.name, *store.aliases)]
    match_store("warm", known)
    counted: dict[str, list[bool]] = {}
    times: list[float] = []
    for kind, typed, store_id in _perturbed(names, queries, seed):
        began = time.thread_time()
        match = match_store(typed, known)
        times.append((time.thread_time() - began) * 1_000)
        counted.setdefault(kind, []).append(match is not None and store_id in match.store_ids)
    scores = tuple(Score(kind, len(right), sum(right), sum(right)) for kind, right in counted.items())
    cuts = quantiles(times, n=20)
    return StoresReport(len(stores), scores, cuts[9], cuts[18])


def _perturbed(names: Sequence[tuple[int, str]], queries: int, seed: int) -> Iterator[tuple[str, str, int]]:
    for kind, change in STORES.items():
        random = seeded(seed, kind)
        left = -(-queries // len(STORES))
        for _ in range(200 * left):  # a way that fits no name ends
            store_id, name = names[random.randrange(len(names))]
            words = change(normalise(name).split(), random)
            if words is not None and left:
                left -= 1
                yield kind, " ".join(words), store_id
