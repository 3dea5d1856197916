"""The embedding job on Ray against a bare encoder: same texts, same batches, as many threads, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import write_deltalake

from cluster.errors import PlatformError
from data_jobs.tables import silver_products
from ingest.sources.journey_tables import data_folder, read_products
from loadtest.bench.report import Bar, Report, Result, against
from receipts.embedding import product_digest
from receipts.lake import Lake

_PRODUCTS, _QUICK_PRODUCTS = 10_000, 2_400  # of 18,687 distinct ones; the pool gives a second actor work from 2,048 on
_ROUNDS = 3
_CPU_BAR, _GPU_BAR = 0.9, 0.8
_PEER = "SentenceTransformer.encode, all distinct texts in one call"
_STARTING = "the same with its imports and its model"
_TABLE = silver_products.TABLE

_Told = Mapping[str, Any]
_Pairs = Sequence[tuple[_Told, _Told]]  # of ours and the peer


def measure(*, quick: bool) -> Report:
    """Return products a second of the job, from its first vectors on and as a whole, and of the encoder.

    On a GPU where there is one; else on one thread and on all cores, each an actor of one thread to the job.
    """
    products = _QUICK_PRODUCTS if quick else _PRODUCTS
    with tempfile.TemporaryDirectory(prefix="bench-embed-") as folder:
        root = Path(folder)
        _fill(Lake(str(root / "silver")), products)
        device = _run("device", root, 1)["device"]
        cores = len(os.sched_getaffinity(0))
        threads = (1, cores) if device == "cpu" and cores > 1 else (cores,)
        rounds = [{n: (_run("ours", root, n), _run("peer", root, n)) for n in threads} for _ in range(_ROUNDS)]
    pairs = {f"{n} threads" if n > 1 else "1 thread": [each[n] for each in rounds] for n in threads}
    if device != "cpu":
        pairs = {str(device): rounds_of for rounds_of in pairs.values()}
    results = [result for where, some in pairs.items() for result in _results(where, some)]
    return Report("embed", _ROUNDS, results, _bars(results, _CPU_BAR if device == "cpu" else _GPU_BAR))


def _fill(lake: Lake, products: int) -> None:
    """Write real products as Silver has them, the first by their digest: a sample of all kinds."""
    ids = pl.read_parquet(data_folder() / "products.parquet")["product_id"]
    rows = pl.DataFrame([json.loads(f"{{{goods}}}") for goods in read_products(ids)["goods"]])
    texts = rows.unique(["description", "department", "category"])
    digests = [product_digest(*row) for row in texts.select("description", "department", "category").iter_rows()]
    distinct = texts.with_columns(text_digest=pl.Series(digests)).unique("text_digest").sort("text_digest")
    told = distinct.head(products).with_columns(search_text=pl.lit(""), last_receipt_id=pl.lit(""), line_number=1)
    chosen = told.select(_TABLE.schema.names).to_arrow().cast(_TABLE.schema)
    write_deltalake(lake.ensure(_TABLE.lake_table), chosen, mode="append")


def _run(side: str, root: Path, threads: int) -> _Told:
    """Run one side in a process and session of its own: between sessions, Linux shares the processor out evenly.

    Ray's workers have a session of theirs, and a peer that shared one with other work would look slower than it is.
    """
    command = [sys.executable, "-m", "cluster.benchmarks.embed_sides", side, str(root), str(threads)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, start_new_session=True)
    if process.returncode != 0:
        raise PlatformError(f"The {side} side of the embedding's benchmark failed; see above.")
    told: _Told = json.loads(process.stdout)
    return told


def _results(where: str, pairs: _Pairs) -> list[Result]:
    figures: dict[str, tuple[str, str, Callable[[_Told], float]]] = {
        "job": ("products/s", _PEER, lambda told: told["steady"]),
        "processor time": ("ms/product", _PEER, lambda told: told["steady_cpu_ms"]),
        "job from its start": ("products/s", _STARTING, lambda told: told["products"] / told["whole_s"]),
        "processor time from the start": ("ms/product", _STARTING, _cpu_ms),
        "first vectors written": ("s", "model ready", lambda told: told["first_s"]),
    }
    return [
        against(f"{what}, {where}", [of(ours) for ours, _ in pairs], unit, peer, [of(told) for _, told in pairs])
        for what, (unit, peer, of) in figures.items()
    ]


def _cpu_ms(told: _Told) -> float:
    return 1_000 * told["cpu_s"] / told["products"]


def _bars(results: Sequence[Result], least: float) -> list[Bar]:
    return [
        Bar(f"{result.what} / bare encode", result.ratio or 0.0, f">= {least}", (result.ratio or 0.0) >= least)
        for result in results
        if result.what.startswith("job, ")
    ]
