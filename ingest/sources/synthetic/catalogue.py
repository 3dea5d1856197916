"""An own grocery catalogue, composed: every kind of product in its variants and sizes, as a till prints it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from ingest.sources.mixing import Fractions, fraction, mix, rising_sum
from ingest.sources.overlay.tables import read_table

_PLAIN = "-"
_STEEPNESS = 1.6  # of the popularity in the file: makes a fifth of the products two thirds of the sales
_HERE = "ingest.sources.synthetic"


@dataclass(frozen=True, slots=True)
class Product:
    """One article. `seasons` holds the factors of the months in which it sells more than usual."""

    sku: str
    name: str  # spelt out
    description: str  # as printed
    department: str
    category: str
    price_cents: int  # of one `unit`
    unit: str
    taxed: bool
    popularity: float
    seasons: tuple[tuple[int, float], ...]


@cache
def catalogue() -> tuple[Product, ...]:
    """Return every product in the order of the files; skus follow from the name alone, so they never change."""
    tills = {row["word"]: row["till"] for row in read_table("abbreviations", _HERE)}
    categories = {row["key"]: row for row in read_table("categories", _HERE)}
    rows = read_table("products", _HERE)
    return tuple(made for row in rows for made in _products(row, categories[row["category"]], tills))


@cache
def popularity_by_month() -> tuple[Fractions, ...]:
    """Return for January to December the rising sum of all products' popularity, for `pick_weighted`."""
    products = catalogue()
    usual = np.array([p.popularity for p in products])
    months: list[Fractions] = []
    for month in range(1, 13):
        factors = np.array([dict(p.seasons).get(month, 1.0) for p in products])
        months.append(rising_sum(usual * factors))
    return tuple(months)


@cache
def usual_popularity() -> Fractions:
    """Return the rising sum of all products' popularity outside any season."""
    return rising_sum([p.popularity for p in catalogue()])


def till_words(text: str, tills: dict[str, str]) -> str:
    """Return a name as a till prints it: capitals, known words shortened, sizes in one word."""
    words = re.sub(r"(\d) (OZ|LB|CT|PK|QT|GAL|LTR|IN|ML)\b", r"\1\2", text.upper()).split()
    return " ".join(tills.get(word.casefold(), word) for word in words)


def _products(row: dict[str, str], category: dict[str, str], tills: dict[str, str]) -> Iterator[Product]:
    seasons = tuple((int(month), float(factor)) for month, factor in _pairs(row["season"], " "))
    sizes = [(label, float(factor)) for label, factor in _pairs(category["sizes"], "|")]
    usual_first = sorted(sizes, key=lambda size: abs(math.log(size[1])))
    choices = list(product(enumerate(row["variants"].split("|"), 1), enumerate(usual_first, 1)))
    total = sum(1 / (i * j) for (i, _), (j, _) in choices)
    for (i, variant), (j, (size, factor)) in choices:  # Zipf: the n-th variant and the n-th size sell as 1 / n
        printed = category["printed"] == "till"
        kind = "" if variant == _PLAIN else variant
        spelt = (row["name"], kind, size) if printed else (kind, row["name"], _small(size))
        name = " ".join(part for part in spelt if part)
        key = f"{category['category']}/{name}"
        yield Product(
            sku=_sku(key),
            name=name,
            description=till_words(name, tills) if printed else name,
            department=category["department"],
            category=category["category"],
            price_cents=_shelf_price(int(row["price_cents"]) * factor, key),
            unit=category["unit"],
            taxed=category["taxed"] == "yes",
            popularity=float(row["popularity"]) ** _STEEPNESS / (i * j * total),
            seasons=seasons,
        )


def _shelf_price(cents: float, key: str) -> int:
    """Return a price up to 12 % around, ending in 9 as shelf prices do."""
    varied = cents * (0.88 + 0.24 * float(fraction(key, "price")[0]))
    return max(int(varied / 10) * 10 + 9, 9)


def _small(size: str) -> str:
    return size if size in ("", "SPF") else size.lower()


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    for part in text.split(separator):
        if ":" in part:
            left, _, right = part.rpartition(":")
            yield left, right


def _sku(key: str) -> str:
    """Return a UPC-A number of system 4, which is kept for a shop's own use: 12 digits with GS1's check digit."""
    digits = f"4{int(mix(key, 'sku')[0]) % 10**10:010d}"
    total = 3 * sum(int(c) for c in digits[::2]) + sum(int(c) for c in digits[1::2])
    return f"{digits}{-total % 10}"
