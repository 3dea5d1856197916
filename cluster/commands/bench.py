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
    SCALE = "scale"
    ALL = "all"


_ALONE = (Benchmark.ALL, Benchmark.SCALE)  # the latter takes hours: only who names it gets it


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(bench)


def bench(
    name: Annotated[
        Benchmark, typer.Argument(help="What to measure; scale, a hundred million lines, is not among all.")
    ] = Benchmark.ALL,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer receipts and shorter rounds.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where scale keeps its lake and, stopped, goes on; none: gone afterwards.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a benchmark.")] = False,
) -> None:
    """Measure on a private platform that is gone afterwards, beside a peer in the same run."""
    from rich.console import Console

    if folder is not None and name is not Benchmark.SCALE:
        raise InvalidInput("folder", "is for scale alone; the others leave nothing behind")
    for chosen in [each for each in Benchmark if each not in _ALONE] if name is Benchmark.ALL else [name]:
        report = _measure(chosen, quick=quick, folder=folder)
        if as_json:
            sys.stdout.write(json.dumps(report.as_json()) + "\n")
        else:
            report.show(Console())


def _measure(name: Benchmark, *, quick: bool, folder: Path | None) -> Report:
    benchmark = importlib.import_module(f"cluster.benchmarks.{name}")  # one of them: each brings what only it needs
    report: Report = benchmark.measure(quick=quick, **({} if folder is None else {"folder": folder}))
    return report
