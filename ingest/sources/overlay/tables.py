"""The CSV files beside this module."""

from __future__ import annotations

import csv
import io
from importlib import resources


def read_table(name: str, package: str = "ingest.sources.overlay") -> list[dict[str, str]]:
    """Return the rows of `<name>.csv` of a package by column name."""
    text = resources.files(package).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))
