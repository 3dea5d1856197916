"""Commands of the quarantine family: look after refused records."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.judging import Verdict

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would become of it.")]
_Kind = Annotated[
    str | None,
    typer.Option(help="malformed, card_number, unknown_store, foreign_store, too_large or database."),
]
_quarantine = typer.Typer(help="Records that were refused.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_quarantine, name="quarantine")


@_quarantine.command("list")
def list_refused(
    kind: _Kind = None,
    bronze_table: Annotated[str | None, typer.Option("--table", help="Such as bronze.receipts.")] = None,
    store_id: Annotated[int | None, typer.Option("--store", help="Of this store, as far as the record says.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Received at or after this instant, UTC.")] = None,
    state: Annotated[str, typer.Option(help="held, replayed, fixed, dismissed or all.")] = "held",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: _Json = False,
) -> None:
    """Show the newest refused records and why they were refused."""
    from ingest.quarantine import Filter, list_refusals

    instant = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    wanted = Filter(None if state == "all" else state, kind, bronze_table, store_id, instant)
    refusals = asyncio.run(list_refusals(load_settings(), wanted, limit))
    if as_json:
        print_json([asdict(refusal) for refusal in refusals])
        return
    table = Table("id", "table", "received", "source", "state", "kind", "reason")
    for one in refusals:
        received = f"{one.received_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.quarantine_id), one.bronze_table, received, one.source, one.state, one.kind, one.reason)
    Console().print(table)


@_quarantine.command()
def summary(as_json: _Json = False) -> None:
    """Count refused records by state, table and kind."""
    from ingest.quarantine import count_refusals

    counts = asyncio.run(count_refusals(load_settings()))
    if as_json:
        print_json([asdict(count) for count in counts])
        return
    table = Table("state", "table", "kind", "refusals", "oldest")
    for one in counts:
        table.add_row(one.state, one.bronze_table, one.kind, str(one.refusals), f"{one.oldest:%Y-%m-%d %H:%M:%S}")
    Console().print(table)


@_quarantine.command()
def show(quarantine_id: int) -> None:
    """Print one refused record as JSON, with its payload. It may hold personal data."""
    from ingest.quarantine import find_refusal

    print_json(asdict(asyncio.run(find_refusal(load_settings(), quarantine_id))))


@_quarantine.command()
def fix(
    quarantine_id: int,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The whole record as JSON.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help='path=value, such as lines.0.description="Milk"; repeatable.')
    ] = None,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Store a corrected record in the place of a refused one, if it passes the same validation."""
    from ingest.corrections import corrected
    from ingest.quarantine import find_refusal, fix

    if (file is None) == (not changes):
        raise InvalidInput("fix", "give either --file or --set")
    settings = load_settings()
    if file is not None:
        payload = file.read_bytes()
    else:
        payload = corrected(asyncio.run(find_refusal(settings, quarantine_id)).payload, changes or ())
    _tell([asyncio.run(fix(settings, quarantine_id, payload, dry_run=dry_run))], as_json=as_json)


@_quarantine.command()
def replay(
    quarantine_ids: Annotated[list[int] | None, typer.Argument(help="Which; without any, all that wait.")] = None,
    kind: _Kind = None,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Validate refused records again and store those that pass now.

    Without ids and kind, those of foreign stores are left: name them, since taking them overrules the credential.
    """
    from ingest.quarantine import replay

    verdicts = asyncio.run(replay(load_settings(), quarantine_ids or (), kind=kind, dry_run=dry_run))
    _tell(verdicts, as_json=as_json)


@_quarantine.command()
def dismiss(quarantine_ids: list[int], as_json: _Json = False) -> None:
    """Note that refused records are not to be stored."""
    from ingest.quarantine import dismiss

    settings = load_settings()
    _tell([asyncio.run(dismiss(settings, quarantine_id)) for quarantine_id in quarantine_ids], as_json=as_json)


def _tell(verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(verdict) for verdict in verdicts])
        return
    for one in verdicts:
        accepted = f"accepted as {one.accepted_key}" if one.accepted_key else one.state
        sys.stdout.write(f"{one.quarantine_id}: {one.reason or accepted}\n")
