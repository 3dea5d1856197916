"""A hundred million lines generated and refined once: how long it takes, and what disk and memory it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
from receipts.errors import InvalidInput
from receipts.lake import Lake

_LINES, _QUICK_LINES = 100_000_000, 1_000_000
_LINES_PER_RECEIPT = 7.96  # of the generated history
_CPUS = 2
_STORE_BYTES = 256 * 1024 * 1024  # rows never enter the object store
_LAYERS = ("bronze", "silver", "gold")


@dataclass(slots=True)
class _Noted:
    """What a folder's lake cannot tell: how much was generated, how long that took, and the most memory since."""

    receipts: int
    generated_s: float = 0.0  # none of it, or all
    peak_bytes: int = 0


def measure(*, quick: bool, folder: Path | None = None) -> Report:
    """Return durations, bytes on disk and peak memory; hours for all of it, with a line on stderr a step.

    A run that was stopped goes on in its `folder` where it was; without one the lake is gone afterwards.
    """
    receipts = round((_QUICK_LINES if quick else _LINES) / _LINES_PER_RECEIPT / CHUNK) * CHUNK
    with _place(folder) as place:
        with _noting(place, receipts) as noted:
            if not noted.generated_s:
                shutil.rmtree(place / "bronze", ignore_errors=True)  # half a history
                started = time.perf_counter()
                _generate(str(place), receipts)
                noted.generated_s = time.perf_counter() - started
        with _noting(place, receipts) as noted:
            _refine_apart(place, noted)
        disk = {layer: _bytes(place / layer) for layer in _LAYERS}
        return _report(_tables(Lake(str(place))), noted, disk)


@contextmanager
def _place(folder: Path | None) -> Generator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as temporary:
        yield Path(temporary)


@contextmanager
def _noting(place: Path, receipts: int) -> Generator[_Noted]:
    """Read what was noted and note it again, also when it ends by an interruption."""
    file = place / "scale.json"
    noted = _Noted(**json.loads(file.read_text())) if file.is_file() else _Noted(receipts)
    if noted.receipts != receipts:
        raise InvalidInput("folder", f"{place} holds a run of {noted.receipts} receipts, and this is one of {receipts}")
    try:
        yield noted
    finally:
        file.write_text(json.dumps(asdict(noted)))


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


def _refine_apart(place: Path, noted: _Noted) -> None:
    """Refine in a process of its own, and watch its memory."""
    command = [sys.executable, "-m", "cluster.benchmarks.scale", str(place)]
    with subprocess.Popen(command) as process, watching(psutil.Process(process.pid)) as peak:
        try:
            process.wait()
        finally:
            noted.peak_bytes = max(noted.peak_bytes, peak.bytes)
            process.terminate()
    if process.returncode != 0:
        raise PlatformError("The refinement of the scale benchmark failed; see above.")


def _refine(folder: str) -> None:
    """Refine all that is in Bronze and was not yet."""
    with (
        tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp", ignore_cleanup_errors=True) as sockets,
        joined(PrivateNode(_CPUS, _STORE_BYTES, sockets)),
    ):
        for batch in refine_all(Refinery(Lake(folder), run_slices, _CPUS)):
            _say(str(batch))


def _tables(lake: Lake) -> dict[str, tuple[int, float]]:
    """Return rows and seconds of each table, as its commits tell them, whichever run they are of."""
    found: dict[str, tuple[int, float]] = {}
    for table in Refinery(lake, run_slices, _CPUS).tables:
        if lake.exists(table.name):
            handle = lake.open(table.name)
            told = [json.loads(commit["lineage"]) for commit in handle.history() if "lineage" in commit]
            found[table.name] = (handle.count(), sum(each.get("took_ms", 0) for each in told) / 1000)
    return found


def _report(tables: Mapping[str, tuple[int, float]], noted: _Noted, disk: Mapping[str, int]) -> Report:
    lines, refined_s = tables["silver.receipt_lines"][0], sum(seconds for _, seconds in tables.values())
    results = [
        Result("lines", lines, ""),
        Result("generated", noted.generated_s / 60, "min"),
        Result("refined", refined_s / 60, "min"),
        Result("lines refined a second", lines / refined_s, "/s"),
        Result("peak memory of the refinement", noted.peak_bytes / 2**20, "MiB"),
        *(Result(f"disk, {layer}", size / 2**30, "GiB") for layer, size in disk.items()),
        *(Result(f"{name}, {rows:,} rows", seconds, "s") for name, (rows, seconds) in tables.items()),
    ]
    return Report("scale", 1, results)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _say(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


if __name__ == "__main__":
    _refine(sys.argv[1])
