"""Commands of the tills family: who may send records."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.commands.output import print_json
from configs.settings import load_settings

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_tills = typer.Typer(help="Credentials of tills and feeds.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_tills, name="tills")


@_tills.command()
def add(
    client_id: str,
    store: Annotated[list[int] | None, typer.Option(help="A store it may write; repeatable.")] = None,
    all_stores: Annotated[bool, typer.Option(help="A feed: every store, and store and customer records.")] = False,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: _Json = False,
) -> None:
    """Make a credential and print its secret, this once."""
    from cluster.tills import add_till

    _show_secret(
        client_id, add_till(load_settings(), client_id, store or (), all_stores=all_stores, note=note), as_json
    )


@_tills.command("list")
def list_all(as_json: _Json = False) -> None:
    """Show all credentials, without their secrets."""
    from cluster.tills import list_tills

    tills = list_tills(load_settings())
    if as_json:
        print_json([asdict(till) for till in tills])
        return
    table = Table("client", "stores", "made", "revoked", "note")
    for till in tills:
        stores = "all" if till.all_stores else ", ".join(map(str, till.store_ids))
        revoked = f"{till.revoked_at:%Y-%m-%d %H:%M}" if till.revoked_at else ""
        table.add_row(till.client_id, stores, f"{till.created_at:%Y-%m-%d %H:%M}", revoked, till.note)
    Console().print(table)


@_tills.command()
def rotate(client_id: str, as_json: _Json = False) -> None:
    """Give a credential another secret and print it, this once; the old one is accepted for a minute."""
    from cluster.tills import rotate_till

    _show_secret(client_id, rotate_till(load_settings(), client_id), as_json)


@_tills.command()
def revoke(client_id: str) -> None:
    """Take a credential back: within a minute it gets no more tokens, and its last one ends within the hour."""
    from cluster.tills import revoke_till

    revoke_till(load_settings(), client_id)
    sys.stdout.write(f"{client_id} is revoked\n")


def _show_secret(client_id: str, secret: str, as_json: bool) -> None:
    if as_json:
        print_json({"client_id": client_id, "client_secret": secret})
        return
    sys.stdout.write(f"client_id      {client_id}\nclient_secret  {secret}\nIt is not kept: store it now.\n")
