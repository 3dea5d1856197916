"""The command that holds Bronze, Silver and Postgres against each other."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.invariants import Verdict

_POLL_S = 1.0
_BROKEN, _UNDER_WAY = 1, 2  # exit codes


def add_to(family: typer.Typer) -> None:
    """Add this command to its family."""
    family.command()(verify)


def verify(
    sent: Annotated[
        Path | None,
        typer.Option(help="What tills sent, in order: JSON lines of receipt_id, payload_digest (hex) and acked."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for records that are under way.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that every receipt stands once in Bronze, Silver and Postgres, and nothing else.

    A record that is under way from one to the next is not missed where it has not arrived.

    Exit code: 0 if nothing is broken, 1 if anything is, 2 if nothing is but records are under way after --wait SECONDS.
    """
    from ingest.evidence import gather
    from ingest.invariants import judge, read_sent

    settings = load_settings()
    if sent is not None and not sent.is_file():
        raise InvalidInput("--sent", f"{sent} is not a file")
    told = None if sent is None else read_sent(sent)
    deadline = time.monotonic() + wait
    verdict = judge(gather(settings), told)
    while not (verdict.settled or verdict.breaches) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        verdict = judge(gather(settings), told)
    if as_json:
        print_json(asdict(verdict))
    else:
        sys.stdout.write(_tell(verdict))
    if verdict.breaches:
        raise typer.Exit(_BROKEN)
    if wait and not verdict.settled:
        raise typer.Exit(_UNDER_WAY)


def _tell(verdict: Verdict) -> str:
    lines = [f"{count:>12,}  {stage}" for stage, count in verdict.counts.items()]
    lines += [f"{count:>12,}  under way {where}" for where, count in verdict.under_way.items() if count]
    lines += [f"BROKEN: {breach}" for breach in verdict.breaches]
    if verdict.moving:
        are = "record is" if verdict.moving == 1 else "records are"
        lines.append(f"{verdict.moving:,} {are} still under way and not judged where not arrived.")
    if not verdict.breaches:
        subject = "What has arrived" if verdict.moving else "Every receipt"
        lines.append(f"{subject} stands where it belongs, once.")
    return "\n".join(lines) + "\n"
