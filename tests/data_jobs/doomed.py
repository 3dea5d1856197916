"""Rounds of refinement and sync in a process of their own, which kills itself at a given step of them."""

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from configs.settings import Settings
from data_jobs import batches, commits, parts, slices, sync, sync_backfill, sync_marks, sync_writing
from data_jobs.refinement import Refinery, refine_round
from receipts.database import DatabaseRole, connect
from receipts.lake import lake_of
from tests.data_jobs.landing import run_here

# A step is where a function of these begins or ends: before and after every file, commit, statement and transaction.
_STEPPING = {
    module.__file__ for module in (batches, commits, parts, slices, sync, sync_backfill, sync_marks, sync_writing)
}
_PATIENCE_S = 120  # a run takes about a second

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])  # importing polars and Delta takes longer than a run


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of a run: where a function is called or returns, for the so-manieth time."""

    where: str
    time: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: killed or not, and how often it came by each step if it was not."""

    killed: bool
    steps: Mapping[str, int]


def run(settings: Settings, last: Step | None = None) -> Ended:
    """Refine and sync all that is new; with `last`, the process kills itself there, if it comes by."""
    mouth, ear = _context.Pipe(duplex=False)
    process = _context.Process(target=_run, args=(settings, last, ear))
    process.start()
    ear.close()
    try:
        steps: Mapping[str, int] = mouth.recv()
    except EOFError:  # killed before it could tell
        steps = {}
    process.join(_PATIENCE_S)
    assert process.exitcode in (0, -signal.SIGKILL), f"ended with {process.exitcode}"
    return Ended(process.exitcode != 0, steps)


def _run(settings: Settings, last: Step | None, ear: Connection) -> None:
    steps: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event not in ("call", "return") or code.co_filename not in _STEPPING or code.co_name.startswith("<"):
            return
        where = f"{event} of {Path(code.co_filename).stem}.{code.co_qualname}"
        steps[where] += 1
        if last is not None and (where, steps[where]) == (last.where, last.time):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    lake = lake_of(settings)
    refinery, done = Refinery(lake, run_here, parallelism=2), False
    while not done:
        done = not list(refine_round(refinery))
        with connect(settings, DatabaseRole.PIPELINE) as connection:
            list(sync.sync(lake, connection))
    sys.setprofile(None)
    ear.send(dict(steps))
