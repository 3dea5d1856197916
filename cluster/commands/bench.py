"""Commands of the bench family: measured, never claimed."""

from __future__ import annotations

import importlib
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from loadtest.bench.report import Report


class Benchmark(StrEnum):
    """What can be measured."""

    INGEST = "ingest"
    LOOKUP = "lookup"
    CUSTOMERS = "customers"
    BATCH = "batch"
    PIPELINE = "pipeline"
    EMBED = "embed"
    SYNC = "sync"
    FRESHNESS = "freshness"
    GROWTH = "growth"
    METERS = "meters"
    PEOPLE = "people"
    SEARCH = "search"
    PORTAL = "portal"
    SCALE = "scale"
    ALL = "all"


_ALONE = (Benchmark.ALL, Benchmark.GROWTH, Benchmark.SCALE)  # the latter take long: only who names them gets them


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(bench)


def bench(
    name: Annotated[
        Benchmark,
        typer.Argument(help="What to measure; growth and scale take long and are not in all."),
    ] = Benchmark.ALL,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer receipts and shorter rounds.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where scale keeps its lake and, stopped, goes on; none: gone afterwards.")
    ] = None,
    postgres15: Annotated[
        str | None,
        typer.Option(help="A PostgreSQL with pg_trgm on this machine (its DSN), a peer of people and search."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a benchmark.")] = False,
) -> None:
    """Measure on a private platform that is gone afterwards, beside a peer in the same run."""
    from rich.console import Console

    if folder is not None and name is not Benchmark.SCALE:
        raise InvalidInput("folder", "is for scale alone; the others leave nothing behind")
    if postgres15 is not None and name not in {Benchmark.PEOPLE, Benchmark.SEARCH}:
        raise InvalidInput("postgres15", "is for people and search alone")
    for chosen in [each for each in Benchmark if each not in _ALONE] if name is Benchmark.ALL else [name]:
        report = _measure(chosen, quick=quick, folder=folder, postgres15=postgres15)
        if as_json:
            sys.stdout.write(json.dumps(report.as_json()) + "\n")
        else:
            report.show(Console())


def _measure(name: Benchmark, *, quick: bool, **given: object) -> Report:
    benchmark = importlib.import_module(f"cluster.benchmarks.{name}")  # one of them: each brings what only it needs
    report: Report = benchmark.measure(quick=quick, **{key: value for key, value in given.items() if value is not None})
    return report
