"""`receipts pipeline events`: what each batch did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.output import print_json
from configs.settings import load_settings

if TYPE_CHECKING:
    from data_jobs.events.rows import Event

_COUNTS = ("rows_in", "rows_out", "changed", "gone", "quarantined")


def events(
    table: Annotated[str, typer.Option(help="Only those of this table.")] = "",
    last: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show what the last batches did: rows, what expectations caught, how long it took and how old its input was."""
    from data_jobs.catalogue import find_table
    from data_jobs.events.log import list_events
    from receipts.lake import lake_of

    name = find_table(table).name if table else None
    told = list_events(lake_of(load_settings()), name, last)
    if as_json:
        print_json({"events": [event.to_row() for event in told]})
    else:
        _show(told)


def _show(told: list[Event]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table("committed at", "table", *(name.replace("_", " ") for name in _COUNTS), "took", "lag", "told")
    for event in told:
        caught = ", ".join(f"{name} {rows}" for name, rows in sorted(event.caught.items()))
        grid.add_row(
            f"{event.committed_at:%Y-%m-%d %H:%M:%S}",
            event.table,
            *(str(event.counts[name]) for name in _COUNTS),
            f"{event.took_ms} ms" if event.took_ms is not None else "",
            f"{event.lag_ms / 1000:.1f} s" if event.lag_ms is not None else "",
            f"[red]{event.error}[/]" if event.error else caught,
        )
    Console().print(grid)
