"""The one shape every benchmark reports in, for machines and for people."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import psutil
from rich.console import Console
from rich.table import Table

_VERSIONS = ("ray", "fastapi", "uvicorn", "psycopg", "deltalake", "polars")


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure; with a peer measured in the same run, `ratio` is value / peer_value."""

    what: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that an issue asks for, as `bar` says it, and whether this run reached it."""

    what: str
    value: float
    bar: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark saw: medians over `rounds` interleaved rounds."""

    name: str
    rounds: int
    results: Sequence[Result]
    bars: Sequence[Bar] = ()

    def as_json(self) -> dict[str, object]:
        """Return the report as one JSON object: name, machine, rounds, results, bars."""
        return {
            "name": self.name,
            "machine": machine(),
            "rounds": self.rounds,
            "results": [{k: v for k, v in asdict(r).items() if v is not None} for r in self.results],
            "bars": [asdict(b) for b in self.bars],
        }

    def show(self, console: Console) -> None:
        """Print the report as a table a person can read."""
        table = Table(title=f"{self.name} (median of {self.rounds} rounds)", title_justify="left")
        for heading in ("what", "value", "peer", "ratio"):
            table.add_column(heading, justify="left" if heading in ("what", "peer") else "right")
        for r in self.results:
            peer = "" if r.peer is None else f"{r.peer}: {r.peer_value:,.1f}"
            ratio = "" if r.ratio is None else f"{r.ratio:.2f}"
            table.add_row(r.what, f"{r.value:,.1f} {r.unit}", peer, ratio)
        console.print(table)
        for bar in self.bars:
            console.print(f"  {'holds ' if bar.holds else 'MISSED'}  {bar.what}: {bar.value:,.2f} (bar: {bar.bar})")


def against(what: str, values: Sequence[float], unit: str, peer: str, peer_values: Sequence[float]) -> Result:
    """Return the medians of ours and a peer's rounds, with the median of the per-round ratios."""
    ratio = statistics.median(a / b for a, b in zip(values, peer_values, strict=True))
    return Result(what, statistics.median(values), unit, peer, statistics.median(peer_values), ratio)


def machine() -> dict[str, object]:
    """Return cores, memory and the versions that matter to the figures."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": psutil.getloadavg()[0],
        "python": platform.python_version(),
        **{package: version(package) for package in _VERSIONS},
    }
