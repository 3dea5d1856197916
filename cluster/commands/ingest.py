"""Commands of the ingest family: run the gateway and the drainer, act as tills, look after refused records."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.till import Sent

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_ingest = typer.Typer(help="The gateway for tills and the drainer to Bronze.", no_args_is_help=True)
_quarantine = typer.Typer(help="Records that were refused.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_ingest, name="ingest")
    app.add_typer(_quarantine, name="quarantine")
    app.command()(stream)


@_ingest.command()
def gateway() -> None:
    """Take records from tills until SIGTERM."""
    from ingest.server import serve

    settings = load_settings()
    _log_to_stderr(settings.log_level)
    asyncio.run(serve(settings))


@_ingest.command()
def drain(once: Annotated[bool, typer.Option(help="Drain what is there now and stop.")] = False) -> None:
    """Move the outbox into Bronze until SIGTERM."""
    from ingest.drainer import drain, drain_continuously

    settings = load_settings()
    _log_to_stderr(settings.log_level)
    if once:
        sys.stdout.write(f"{drain(settings)} rows moved to Bronze\n")
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    drain_continuously(settings, stop)


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
        _print_json([asdict(refusal) for refusal in refusals])
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

    _print_json(asdict(asyncio.run(find_refusal(load_settings(), quarantine_id))))


@_quarantine.command()
def replay(
    quarantine_ids: Annotated[list[int] | None, typer.Argument(help="Which; without any, all that wait.")] = None,
    as_json: _Json = False,
) -> None:
    """Validate refused records again and store those that pass now."""
    from ingest.quarantine import replay

    outcomes = asyncio.run(replay(load_settings(), quarantine_ids or ()))
    if as_json:
        _print_json([asdict(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        sys.stdout.write(f"{outcome.quarantine_id}: {outcome.reason or 'accepted'}\n")


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
        _print_json(asdict(sent))
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


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
