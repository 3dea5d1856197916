"""Commands of the portal family."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from cluster.commands.output import print_json
from cluster.errors import PlatformError
from cluster.processes import find_process
from configs.settings import load_settings
from receipts.logs import start_logs

_portal = typer.Typer(invoke_without_command=True)
_Lifeline = Annotated[int, typer.Option(help="The fleet's socket, inherited.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_portal, name="portal")


# What serves is imported when it is needed: Gradio takes seconds, and `receipts --help` must not.
@_portal.callback()
def portal(context: typer.Context) -> None:
    """Serve the portal until SIGTERM, by as many processes as portal.processes says; SIGHUP replaces them one by one.

    What is being answered at the end is finished first.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    start_logs(settings, "portal")
    if settings.portal.processes > 1:
        from cluster.portal_fleet import run_fleet

        run_fleet(settings)
        return
    from cluster.portal_process import serve_alone

    if not serve_alone(settings):
        raise typer.Exit(1)  # uvicorn has said why


@_portal.command()
def restart(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Replace the portal's processes one by one, so that nobody notices; returns when all are new."""
    settings = load_settings()
    from cluster.fleet_files import roll_here
    from cluster.portal_fleet import NAME

    process = find_process(settings, "portal")
    if process is None:
        raise PlatformError("No portal runs here; start it with `receipts up`.")
    told = roll_here(settings, NAME, process.pid)
    if as_json:
        print_json(told)
        return
    sys.stdout.write(", ".join(f"{one['state']} (process {one['pid']})" for one in told[NAME]) + "\n")


@_portal.command(hidden=True)
def process(slot: Annotated[int, typer.Option(min=0, help="Its number on this node.")], lifeline: _Lifeline) -> None:
    """Serve the portal as one process of the fleet that starts it."""
    from cluster.portal_process import serve_member
    from ingest.lifeline import Lifeline

    settings = load_settings()
    start_logs(settings, "portal")
    if not serve_member(settings, slot, Lifeline(lifeline)):
        raise typer.Exit(1)  # uvicorn has said why


@_portal.command(hidden=True)
def front(lifeline: _Lifeline) -> None:
    """Run HAProxy before the processes of the fleet that starts it."""
    from cluster.portal_front import run_front
    from ingest.lifeline import Lifeline

    settings = load_settings()
    start_logs(settings, "portal")
    raise typer.Exit(asyncio.run(run_front(settings, Lifeline(lifeline))))
