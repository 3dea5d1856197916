"""The command that acts as a till."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.till import Sent

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(stream)


def stream(
    source: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines; - for standard input.")],
    table: Annotated[
        str, typer.Option(help="Or retail.crm.customers, retail.reference.stores.")
    ] = "retail.pos.receipts",
    target: Annotated[str | None, typer.Option(help="The gateway as host:port; by default the settings' own.")] = None,
    as_json: _Json = False,
) -> None:
    """Act as a till: send JSON lines to the gateway and wait until all are acknowledged."""
    from ingest.till import send

    ingest = load_settings().ingest
    address = target or f"{ingest.host}:{ingest.port}"
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("acknowledged", total=None)

        def on_progress(sent: Sent) -> None:
            progress.update(task, completed=sent.acked, total=sent.sent)

        sent = send(_lines(source), table=table, target=address, on_progress=on_progress)
    if as_json:
        print_json(asdict(sent))
    else:
        sys.stdout.write(f"{sent.sent} sent, {sent.acked} acknowledged\n")


def _lines(source: str) -> Iterator[str]:
    """Return the lines that are not blank; a file that is not there is said before anything is sent."""
    if source != "-" and not Path(source).is_file():
        raise InvalidInput("FILE", f"{source} is not a file")
    return _read_lines(source)


def _read_lines(source: str) -> Iterator[str]:
    with nullcontext(sys.stdin) if source == "-" else Path(source).open(encoding="utf-8") as lines:
        yield from (line for line in lines if line.strip())
