"""Commands of the replicas family: standbys of the embedded Postgres, and which server is the primary."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.logs import start_logs

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_replicas = typer.Typer(help="Standbys of the embedded PostgreSQL, and fail-over.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_replicas, name="replicas")


@_replicas.command()
def add(
    count: Annotated[int, typer.Option(min=1, max=9, help="How many.")] = 1,
    port: Annotated[int | None, typer.Option(help="Of the first; the others take the next free ones.")] = None,
    synchronous: Annotated[
        bool, typer.Option(help="With two or more, a commit waits until one of them has it: no loss at fail-over.")
    ] = True,
    as_json: _Json = False,
) -> None:
    """Copy the primary and let the copy follow; searches, history and context are read from it at once."""
    from cluster.standbys import add_standby
    from cluster.supervision import alone

    settings = load_settings()
    start_logs(settings, "replicas", for_person=True)
    with alone(settings):
        for number in range(count):
            add_standby(settings, port if number == 0 else None, synchronous=synchronous)
    _show(as_json=as_json)


@_replicas.command("list")
def list_all(as_json: _Json = False) -> None:
    """Show all servers, their states and how far they are behind."""
    _show(as_json=as_json)


@_replicas.command()
def remove(name: str, as_json: _Json = False) -> None:
    """Stop a standby and delete its data; the primary keeps nothing for it any more."""
    from cluster.standbys import remove_standby
    from cluster.supervision import alone

    settings = load_settings()
    with alone(settings):
        remove_standby(settings, name)
    _show(as_json=as_json)


@_replicas.command()
def promote(
    name: Annotated[str | None, typer.Argument(help="By default the one that received most.")] = None,
    switchover: Annotated[bool, typer.Option(help="Planned: the running primary hands over and follows.")] = False,
    accept_loss: Annotated[
        bool, typer.Option(help="Go on without standbys that cannot be asked, or with one that received less.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make a standby the primary: after the primary was lost, or planned. Every process finds it by itself."""
    from cluster.promotion import promote as promote_standby
    from cluster.supervision import alone

    settings = load_settings()
    start_logs(settings, "replicas", for_person=True)
    with alone(settings):
        done = promote_standby(settings, name, switchover=switchover, accept_loss=accept_loss)
    if as_json:
        print_json(asdict(done))
        return
    waits = "wait for a standby" if done.waits_for_quorum else "wait for no standby"
    sys.stdout.write(f"{done.primary} is the primary after {done.seconds} s; commits {waits}\n")
    if not done.planned and done.before != done.primary:
        sys.stdout.write(
            f"{done.before} is fenced. What it alone may hold is lost with `receipts replicas rejoin {done.before}`.\n"
        )


@_replicas.command()
def rejoin(name: str, as_json: _Json = False) -> None:
    """Let a fenced or broken server follow the primary again; what only it held is given up."""
    from cluster.standbys import rejoin as rejoin_standby
    from cluster.supervision import alone

    settings = load_settings()
    with alone(settings):
        rejoin_standby(settings, name)
    _show(as_json=as_json)


def _show(*, as_json: bool) -> None:
    from cluster.standbys import list_servers, require_embedded

    settings = load_settings()
    require_embedded(settings)
    servers = list_servers(settings)
    if as_json:
        print_json([asdict(one) for one in servers])
        return
    table = Table("server", "port", "role", "state", "commits wait", "behind by")
    for one in servers:
        behind = "" if one.lag_bytes is None else f"{one.lag_bytes} bytes, {one.lag_s:.1f} s"
        waits = {"quorum": "yes", "async": "no"}.get(one.sync_state or "", "")
        table.add_row(one.name, str(one.port), one.role, one.state, waits, behind)
    Console().print(table)
