"""Long work shown as it is done: a line a step, and a bar a table that says how far it is and how long it will take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from data_jobs.batches import Batch
    from receipts.lake import Lake

Step = TypeVar("Step")


def show_steps(steps: Iterable[Step], *, quiet: bool) -> list[Step]:
    """Do the steps with a moving line on stderr, and leave a line for each that is done."""
    console = _console(quiet=quiet)
    done: list[Step] = []
    with console.status("Looking for what is new"):
        for step in steps:
            done.append(step)
            console.print(str(step), soft_wrap=True)
    return done


def show_batches(batches: Iterable[Batch], lake: Lake, *, quiet: bool) -> list[Batch]:
    """Refine with a bar for each table that is behind: how many versions of its input it has read, of how many."""
    done: list[Batch] = []
    bars: dict[str, TaskID] = {}
    console = _console(quiet=quiet)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("versions"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        looking = progress.add_task("Looking for what is new", total=None)
        for batch in batches:
            done.append(batch)
            console.print(str(batch), soft_wrap=True)
            if batch.table not in bars:
                behind = lake.open(batch.source).version() - batch.after
                bars[batch.table] = progress.add_task(f"{batch.table} from {batch.source}", total=behind)
            if batch.error is None:
                progress.advance(bars[batch.table], batch.upto - batch.after)
        progress.remove_task(looking)
    return done


def _console(*, quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet, highlight=False)
