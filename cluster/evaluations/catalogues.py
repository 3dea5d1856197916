"""Catalogues that product search is measured on: the project's own, or a file of names with their aisles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ingest.sources.synthetic.catalogue import catalogue
from receipts.errors import InvalidInput

_COLUMNS = ("product_name", "aisle", "department")


@dataclass(frozen=True, slots=True)
class Article:
    """One product. `name` is what people call it and labels are read from; a till prints `description`."""

    sku: str
    name: str
    description: str
    department: str
    category: str


def own_catalogue() -> list[Article]:
    """Return the catalogue of synthetic receipts: 6,000 articles, half of them in a till's abbreviations."""
    return [Article(p.sku, p.name, p.description, p.department, p.category) for p in catalogue()]


def read_catalogue(path: Path) -> list[Article]:
    """Return the rows of a Parquet file with product_name, aisle and department. Raises InvalidInput for another."""
    if not path.is_file():
        raise InvalidInput("catalogue", f"{path} is no file")
    rows = pl.read_parquet(path)
    missing = [column for column in _COLUMNS if column not in rows.columns]
    if missing:
        raise InvalidInput("catalogue", f"{path} has no column {', '.join(missing)}")
    told = rows.select(_COLUMNS).fill_null("").iter_rows()
    return [Article(str(n), name, name, department, aisle) for n, (name, aisle, department) in enumerate(told, 1)]
