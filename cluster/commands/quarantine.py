"""Commands of the quarantine family: look after refused records."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.commands.output import print_json
from configs.settings import load_settings

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_quarantine = typer.Typer(help="Records that were refused.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_quarantine, name="quarantine")


@_quarantine.command("list")
def list_refused(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    replayed: Annotated[bool, typer.Option(help="Also those that were replayed.")] = False,
    as_json: _Json = False,
) -> None:
    """Show the newest refused records and why they were refused."""
    from ingest.quarantine import list_refusals

    refusals = asyncio.run(list_refusals(load_settings(), limit=limit, replayed_too=replayed))
    if as_json:
        print_json([asdict(refusal) for refusal in refusals])
        return
    table = Table("id", "table", "received", "source", "state", "reason")
    for one in refusals:
        received = f"{one.received_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.quarantine_id), one.bronze_table, received, one.source, one.state, one.reason)
    Console().print(table)


@_quarantine.command()
def show(quarantine_id: int) -> None:
    """Print one refused record as JSON, with its payload. It may hold personal data."""
    from ingest.quarantine import find_refusal

    print_json(asdict(asyncio.run(find_refusal(load_settings(), quarantine_id))))


@_quarantine.command()
def replay(
    quarantine_ids: Annotated[list[int] | None, typer.Argument(help="Which; without any, all that wait.")] = None,
    as_json: _Json = False,
) -> None:
    """Validate refused records again and store those that pass now."""
    from ingest.quarantine import replay

    outcomes = asyncio.run(replay(load_settings(), quarantine_ids or ()))
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        sys.stdout.write(f"{outcome.quarantine_id}: {outcome.reason or 'accepted'}\n")
