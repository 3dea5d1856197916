"""Bronze to Silver and profiles on Ray against all rows at once in polars, and Gold's cost as history grows."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from cluster.benchmarks.bronze_history import history_plan, land_chunks, land_stores
from cluster.benchmarks.memory import watching
from cluster.errors import PlatformError
from data_jobs.batches import refine
from data_jobs.plans import Outcome, Plan
from data_jobs.priority import ONE_THREAD
from data_jobs.slices import refine_slice
from data_jobs.tables import silver_stores
from ingest.sources.synthetic.history import CHUNK
from loadtest.bench.report import Bar, Report, Result, against
from receipts.lake import Lake

_PEER = "polars and deltalake, all rows at once"
_LINES, _QUICK_LINES = 5_000_000, 500_000
_LINES_PER_RECEIPT = 7.96  # of the generated history
_STEPS = ("silver", "profiles")

_Told = Mapping[str, Any]


def measure(*, quick: bool) -> Report:
    """Return CPU, wall and memory of both sides in turns, and the growth of Gold's cost with tenfold history."""
    rounds, receipts = (1, _receipts(_QUICK_LINES)) if quick else (3, _receipts(_LINES))
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as folder:
        root = Path(folder)
        _land(root / "bronze", receipts)
        pairs = [(_run("ours", root, receipts), _run("peer", root, receipts)) for _ in range(rounds)]
        growth = _run("growth", root, receipts)
    _check(pairs)
    return _report(rounds, pairs, growth, bars=not quick)


def _receipts(lines: int) -> int:
    return round(lines / _LINES_PER_RECEIPT / CHUNK) * CHUNK


def _land(root: Path, receipts: int) -> None:
    """Write Bronze, and the stores' Silver, which both sides find there."""
    lake, plan = Lake(str(root)), history_plan(receipts)
    land_stores(lake, plan)
    land_chunks(lake, plan, range(receipts // CHUNK))
    refine(lake, silver_stores.TABLE, _in_process, 1)


def _in_process(plan: Plan) -> Outcome:
    return refine_slice(plan, 0)


def _run(side: str, root: Path, receipts: int) -> _Told:
    """Run one side in a process of its own on a lake of its own."""
    lake = root / side
    if side != "growth":
        shutil.copytree(root / "bronze", lake)
    command = [sys.executable, "-m", "cluster.benchmarks.pipeline_sides", side, str(lake), str(receipts)]
    if side != "peer":  # as the pipeline's own process
        command = ["env", *(f"{name}={value}" for name, value in ONE_THREAD.items()), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process, watching(psutil.Process(process.pid)) as peak:
        told, _ = process.communicate()
    shutil.rmtree(lake)
    if process.returncode != 0:
        raise PlatformError(f"The {side} side of the pipeline's benchmark failed; see above.")
    return {**json.loads(told), "peak_mib": peak.bytes / 2**20}


def _check(pairs: Sequence[tuple[_Told, _Told]]) -> None:
    """Refuse to compare sides that came to different results."""
    results = {json.dumps([side["rows"], side["spend_cents"]], sort_keys=True) for pair in pairs for side in pair}
    if len(results) != 1:
        raise PlatformError(f"The sides disagree: {' / '.join(sorted(results))}.")


def _report(rounds: int, pairs: Sequence[tuple[_Told, _Told]], growth: _Told, *, bars: bool) -> Report:
    """Bars are for five million lines: half a million are not worth a second task."""
    figures = {
        "CPU, Bronze to profiles": ("s", [[_total(side, "cpu_s") for side in pair] for pair in pairs]),
        "wall, Bronze to profiles": ("s", [[_total(side, "wall_s") for side in pair] for pair in pairs]),
        "peak memory": ("MiB", [[side["peak_mib"] for side in pair] for pair in pairs]),
    }
    figures |= {f"CPU, {step}": ("s", [[side[step]["cpu_s"] for side in pair] for pair in pairs]) for step in _STEPS}
    results = {
        what: against(what, [ours for ours, _ in values], unit, _PEER, [peer for _, peer in values])
        for what, (unit, values) in figures.items()
    }
    cost = {when: statistics.median(each["cpu_s"] for each in growth[when]) for when in ("tenth", "whole")}
    rows = pairs[0][0]["rows"]["silver.receipt_lines"]
    grown = cost["whole"] / cost["tenth"]
    gold = Result(
        "CPU of Gold for 1,000 receipts, all history", cost["whole"], "s", "a tenth of it", cost["tenth"], grown
    )
    held = tuple(
        Bar(what, results[name].ratio or 0.0, f"<= {most}", (results[name].ratio or 0.0) <= most)
        for what, name, most in (
            ("CPU / polars at once", "CPU, Bronze to profiles", 1.35),
            ("wall / polars at once", "wall, Bronze to profiles", 1.0),
            ("peak memory / polars at once", "peak memory", 0.75),
        )
    )
    growth_bar = Bar("Gold's cost at ten times the history", grown, "<= 1.5", grown <= 1.5)
    return Report(
        "pipeline", rounds, (*results.values(), gold, Result("lines", rows, "")), (*held, growth_bar) if bars else ()
    )


def _total(side: _Told, what: str) -> float:
    return sum(side[step][what] for step in _STEPS)
