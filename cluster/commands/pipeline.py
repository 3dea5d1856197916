"""Commands of the pipeline family: refine, embed, sync."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.continuing import begin_anew, run_until_told
from cluster.commands.events import events
from cluster.commands.graph import graph
from cluster.commands.progress import show_batches, show_steps
from configs.settings import Settings, load_settings

if TYPE_CHECKING:
    from data_jobs.batches import Batch
    from data_jobs.ray_work import PrivateNode
    from data_jobs.sync import Synced
    from data_jobs.sync_verification import Compared
    from data_jobs.traces import Traces
    from data_jobs.trail.copying import Copied

_POSITIONS = {"after", "upto", "version"}  # no sense in adding these up
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    pipeline = typer.Typer(help="Refine receipts: Bronze to Silver to Gold to Postgres.", no_args_is_help=True)
    pipeline.command("run")(run)
    pipeline.command("graph")(graph)
    pipeline.command("events")(events)
    app.add_typer(pipeline, name="pipeline")
    app.command("embed")(embed)
    app.command("sync")(sync_command)


def run(
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Go on until SIGTERM, in a new process once a day or on SIGUSR1.")
    ] = False,
    table: Annotated[str, typer.Option(help="Refine this table and what it is made from, without sync.")] = "",
    as_json: Json = False,
) -> None:
    """Refine what is new, sync it to Postgres and embed new products."""
    settings, environment = load_settings(), dict(os.environ)
    with _place(settings) as place:
        recycle = continuous and run_until_told(settings, place)
        if not continuous:
            _run_once(settings, place, table, as_json)
    if recycle:
        begin_anew(environment)


def embed(as_json: Json = False) -> None:
    """Embed products whose text changed and sync the vectors to Postgres."""
    settings = load_settings()
    with _place(settings) as place:
        from data_jobs.ray_work import joined
        from data_jobs.writer_lock import sole_writer

        with sole_writer(settings), joined(place):
            batches = show_steps(_embedding(settings), quiet=as_json)
            synced = _sync_all(settings, as_json)
    _report(as_json, batches=batches, synced=synced)


def sync_command(
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Write nothing; hold Postgres against the lake by count and digest; exit code 1 where they differ.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring Postgres up to the newest version of every served table."""
    settings = load_settings()
    if verify:
        compared = _compare_all(settings)
        _report(as_json, compared=compared)
        for example in (example for each in compared for example in each.examples):
            sys.stderr.write(f"{example}\n")
        if not all(each.equal for each in compared):
            raise typer.Exit(1)
        return
    from data_jobs.writer_lock import sole_writer

    with sole_writer(settings):
        _report(as_json, synced=_sync_all(settings, as_json))


@contextmanager
def _place(settings: Settings) -> Generator[str | PrivateNode]:
    """Choose the Ray cluster: the settings' own, the one a Ray job runs in, the platform's node, or a private one."""
    from cluster import ray_node

    if settings.ray.address is None and "RAY_ADDRESS" in os.environ:  # `ray job submit` sets it
        yield os.environ["RAY_ADDRESS"]
    elif ray_node.is_running(settings):
        os.environ.update(ray_node.node_environment(settings))
        yield ray_node.address(settings)
    else:
        from data_jobs.ray_work import PrivateNode

        with tempfile.TemporaryDirectory(
            prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
        ) as folder:  # Ray's sockets need a short path
            cpus = settings.ray.num_cpus or len(os.sched_getaffinity(0))
            yield PrivateNode(cpus, settings.ray.object_store_bytes, str(Path(folder)))


def _run_once(settings: Settings, place: str | PrivateNode, table: str, as_json: bool) -> None:
    from data_jobs.catalogue import find_table
    from data_jobs.events.telling import tell
    from data_jobs.expectations import ExpectationFailed
    from data_jobs.ray_work import joined, run_slices
    from data_jobs.refinement import Refinery, refine_all
    from data_jobs.traces import tracing_jobs
    from data_jobs.writer_lock import sole_writer
    from receipts.lake import lake_of

    wanted = find_table(table) if table else None
    synced: list[Synced] = []
    copied: list[Copied] = []
    with sole_writer(settings), joined(place), tracing_jobs(settings) as traces, traces.run():
        refinery = Refinery(lake_of(settings), run_slices, settings.pipeline.parallelism, wanted, traces)
        batches = show_batches(refine_all(refinery), refinery.lake, quiet=as_json)
        failed = [batch for batch in batches if batch.error is not None]
        if wanted is None:
            # Receipts serve in their refined form before embedding takes its time.
            synced = _sync_all(settings, as_json, traces)
            batches += show_steps(_embedding(settings), quiet=as_json)
            synced += _sync_all(settings, as_json, traces)
            copied = show_steps(_copying(settings), quiet=as_json)
        tell(settings)
    _report(as_json, batches=batches, synced=synced, copied=copied)
    if failed:
        raise ExpectationFailed(str(failed[-1]))


def _embedding(settings: Settings) -> Iterable[Batch]:
    from data_jobs.embeddings import embed_products
    from receipts.lake import lake_of

    return embed_products(lake_of(settings), settings.pipeline.parallelism)


def _copying(settings: Settings) -> Iterable[Copied]:
    from data_jobs.audit_trail import project_trail
    from data_jobs.trail.keeping import copy_trail
    from receipts.database import DatabaseRole, connect

    with connect(settings, DatabaseRole.PIPELINE) as connection:
        project_trail(connection)
        yield from copy_trail(settings, connection)


def _sync_all(settings: Settings, as_json: bool, traces: Traces | None = None) -> list[Synced]:
    from data_jobs.sync import sync
    from data_jobs.traces import NO_TRACES
    from receipts.database import DatabaseRole, connect
    from receipts.lake import lake_of

    with connect(settings, DatabaseRole.PIPELINE) as connection:
        return show_steps(sync(lake_of(settings), connection, traces=traces or NO_TRACES), quiet=as_json)


def _compare_all(settings: Settings) -> list[Compared]:
    from data_jobs.sync import SERVED
    from data_jobs.sync_verification import compare
    from receipts.database import DatabaseRole, connect
    from receipts.lake import lake_of

    with connect(settings, DatabaseRole.PIPELINE) as connection:
        return [compare(lake_of(settings), connection, table) for table in SERVED]


def _report(as_json: bool, **results: list[Batch] | list[Synced] | list[Compared] | list[Copied]) -> None:
    """Print what was done: one JSON object, or a table of totals."""
    if as_json:
        sys.stdout.write(json.dumps({name: [asdict(each) for each in done] for name, done in results.items()}) + "\n")
        return
    from rich.console import Console
    from rich.table import Table as Grid

    for name, done in results.items():
        totals: dict[str, Counter[str]] = {}
        for each in done:
            figures = {key: value for key, value in asdict(each).items() if isinstance(value, int)}
            totals.setdefault(each.table, Counter()).update({k: v for k, v in figures.items() if k not in _POSITIONS})
        grid = Grid("table", *next(iter(totals.values()), ()), title=name)
        for table, figures in totals.items():
            grid.add_row(table, *map(str, figures.values()))
        if totals:
            Console().print(grid)
        else:
            Console().print(f"{name}: nothing new")
