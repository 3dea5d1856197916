"""A hundred million lines generated and refined once: how long it takes, and what disk and memory it needs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psutil

from cluster.benchmarks.bronze_history import FILE_CHUNKS, history_plan, land_chunks, land_stores
from cluster.benchmarks.memory import watching
from cluster.errors import PlatformError
from data_jobs.ray_work import PrivateNode, joined, run_slices
from data_jobs.refinement import Refinery, refine_all
from ingest.sources.synthetic.history import CHUNK
from loadtest.bench.report import Report, Result
from receipts.lake import Lake

_LINES, _QUICK_LINES = 100_000_000, 1_000_000
_LINES_PER_RECEIPT = 7.96  # of the generated history
_CPUS = 2
_STORE_BYTES = 256 * 1024 * 1024  # rows never enter the object store
_LAYERS = ("bronze", "silver", "gold")


def measure(*, quick: bool) -> Report:
    """Return durations, bytes on disk and peak memory of one run; hours for all of it, with a line on stderr a step."""
    receipts = round((_QUICK_LINES if quick else _LINES) / _LINES_PER_RECEIPT / CHUNK) * CHUNK
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        started = time.perf_counter()
        _generate(folder, receipts)
        generated_s = time.perf_counter() - started
        command = [sys.executable, "-m", "cluster.benchmarks.scale", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with process, watching(psutil.Process(process.pid)) as peak:
            told, _ = process.communicate()
        if process.returncode != 0:
            raise PlatformError("The refinement of the scale benchmark failed; see above.")
        refined_s = time.perf_counter() - started - generated_s
        disk = {layer: _bytes(Path(folder, layer)) for layer in _LAYERS}
    return _report(json.loads(told), generated_s, refined_s, peak.bytes, disk)


def _generate(folder: str, receipts: int) -> None:
    """Put the history into Bronze, a process a core."""
    lake, plan = Lake(folder), history_plan(receipts)
    land_stores(lake, plan)
    land_chunks(lake, plan, range(FILE_CHUNKS))
    starts = range(FILE_CHUNKS, receipts // CHUNK, FILE_CHUNKS)
    files = [range(first, min(first + FILE_CHUNKS, receipts // CHUNK)) for first in starts]
    with ProcessPoolExecutor(_CPUS, get_context("spawn")) as pool:
        for number, _ in enumerate(pool.map(partial(land_chunks, lake, plan), files)):
            _say(f"Bronze: {number + 1} of {len(files)} files")


def _refine(folder: str) -> dict[str, object]:
    """Refine all that is in Bronze; returns rows and seconds by table."""
    lake = Lake(folder)
    took_ms: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp", ignore_cleanup_errors=True) as sockets,
        joined(PrivateNode(_CPUS, _STORE_BYTES, sockets)),
    ):
        for batch in refine_all(Refinery(lake, run_slices, _CPUS)):
            took_ms[batch.table] += batch.took_ms
            _say(str(batch))
    return {name: {"rows": lake.open(name).count(), "seconds": ms / 1000} for name, ms in took_ms.items()}


def _report(
    tables: Mapping[str, Mapping[str, float]],
    generated_s: float,
    refined_s: float,
    peak_bytes: int,
    disk: Mapping[str, int],
) -> Report:
    lines = tables["silver.receipt_lines"]["rows"]
    results = [
        Result("lines", lines, ""),
        Result("generated", generated_s / 60, "min"),
        Result("refined", refined_s / 60, "min"),
        Result("lines refined a second", lines / refined_s, "/s"),
        Result("peak memory of the refinement", peak_bytes / 2**20, "MiB"),
        *(Result(f"disk, {layer}", size / 2**30, "GiB") for layer, size in disk.items()),
        *(Result(f"{name}, {told['rows']:,.0f} rows", told["seconds"], "s") for name, told in tables.items()),
    ]
    return Report("scale", 1, results)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _say(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_refine(sys.argv[1])) + "\n")
