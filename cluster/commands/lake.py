"""Commands of the lake family: read tables as of any version, and do the upkeep's work now."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.settings import load_settings

if TYPE_CHECKING:
    from data_jobs.upkeep.compaction import Compacted
    from data_jobs.upkeep.retention import Expired
    from data_jobs.upkeep.vacuum import Vacuumed

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Name = Annotated[str, typer.Argument(metavar="TABLE", help="For instance silver.receipts.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...", help="All tables where none is named.")]
_CELL = 60  # characters of a value that are shown in a table


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    lake = typer.Typer(help="Look into the lake's tables, now and as of then, and keep them up.", no_args_is_help=True)
    for command in (show, history, compact, vacuum, retain, keep):
        lake.command(command.__name__)(command)
    app.add_typer(lake, name="lake")


def show(
    table: Name,
    as_of: Annotated[str, typer.Option(help="A version, or an instant such as 2026-11-24T02:30 (UTC).")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most rows to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show rows of a table as it is, or as it was at a version or instant."""
    from data_jobs.upkeep.maintained import find_kept
    from data_jobs.upkeep.versions import open_as_of, read_rows
    from receipts.lake import lake_of

    lake = lake_of(load_settings())
    handle = open_as_of(lake, find_kept(table).name, as_of)
    rows = read_rows(lake, table, handle, limit)
    if as_json:
        _print_json({"table": table, "version": handle.version(), "rows": rows})
        return
    _print_grid(rows, title=f"{table}, version {handle.version()}, {len(rows)} of {handle.count()} rows")


def history(
    table: Name,
    limit: Annotated[int, typer.Option(min=1, help="Most versions to show, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what every version of a table did: the batch and how far it read, or the upkeep."""
    from data_jobs.upkeep.maintained import find_kept
    from data_jobs.upkeep.versions import list_history
    from receipts.lake import lake_of

    told = list_history(lake_of(load_settings()), find_kept(table).name, limit)
    if as_json:
        _print_json({"table": table, "versions": told})
        return
    _print_grid(told, title=table)


def compact(tables: Names = None, as_json: Json = False) -> None:
    """Bring small files together and sort overlapping ones apart, as every night."""
    from data_jobs.upkeep.compaction import compact as compacted
    from data_jobs.upkeep.maintained import chosen
    from data_jobs.writer_lock import sole_writer
    from receipts.lake import lake_of

    settings = load_settings()
    with sole_writer(settings):
        _show(compacted(lake_of(settings), chosen(tables or ()), thorough=True), as_json)


def vacuum(
    tables: Names = None,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove files and log that no reader can want, as every night; `nightly.history_days` are kept."""
    from data_jobs.upkeep.database import list_readers
    from data_jobs.upkeep.jobs import limits_of
    from data_jobs.upkeep.maintained import chosen
    from data_jobs.upkeep.vacuum import vacuum as vacuumed
    from data_jobs.writer_lock import sole_writer
    from receipts.lake import lake_of

    settings = load_settings()
    with sole_writer(settings) as claim:
        readers, limits = list_readers(claim), limits_of(settings)
        _show(vacuumed(lake_of(settings), readers, limits, chosen(tables or ()), rehearse=rehearse), as_json)


def retain(tables: Names = None, as_json: Json = False) -> None:
    """Remove rows that are older than their table's retention, as every night."""
    from data_jobs.upkeep.maintained import chosen
    from data_jobs.upkeep.nightly import utc_now
    from data_jobs.upkeep.retention import retain as expired
    from data_jobs.writer_lock import sole_writer
    from receipts.lake import lake_of

    settings = load_settings()
    with sole_writer(settings):
        _show(expired(lake_of(settings), utc_now().date(), chosen(tables or ())), as_json)


def keep(
    table: Name,
    version: Annotated[int, typer.Argument(min=0)],
    release: Annotated[bool, typer.Option("--release", help="Keep it no longer.")] = False,
) -> None:
    """Keep a version of a table readable for an audit, however old it gets."""
    from data_jobs.upkeep.maintained import find_kept
    from data_jobs.upkeep.versions import keep_version
    from data_jobs.writer_lock import sole_writer
    from receipts.lake import lake_of

    settings = load_settings()
    with sole_writer(settings):
        kept = keep_version(lake_of(settings), find_kept(table).name, version, keep=not release)
    listed = ", ".join(str(each) for each in sorted(kept)) or "none"
    sys.stdout.write(f"{table}: versions kept for an audit: {listed}\n")


def _show(steps: Iterable[Compacted | Expired | Vacuumed], as_json: bool) -> None:
    """Do the steps, leaving a line for each that is done, or one JSON object at the end."""
    from rich.console import Console

    console = Console(stderr=True, quiet=as_json, highlight=False)
    done: list[dict[str, Any]] = []
    with console.status("Looking for what is worth it"):
        for step in steps:
            done.append(asdict(step))
            console.print(str(step), soft_wrap=True)
    if as_json:
        _print_json({"done": done})
    elif not done:
        sys.stdout.write("There was nothing to do.\n")


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")


def _print_grid(rows: list[dict[str, Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(*(rows[0] if rows else ()), title=title, title_justify="left")
    for row in rows:
        grid.add_row(*(_shorten("" if value is None else str(value)) for value in row.values()))
    Console().print(grid)


def _shorten(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
