"""Commands of the principals family: who may sign in, services, and sessions."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.access import Role

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_RoleName = Annotated[Role, typer.Option("--role", help="What the principal is at work.")]
_Regions = Annotated[list[int] | None, typer.Option("--region", help="A region it may see; repeatable.")]
_AllRegions = Annotated[bool, typer.Option("--all-regions", help="It may see every region.")]
_principals = typer.Typer(help="Who may sign in.", no_args_is_help=True)
_clients = typer.Typer(help="Services that ask for tokens by a secret of their own.", no_args_is_help=True)
_sessions = typer.Typer(help="Who is signed in.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_principals, name="principals")
    app.add_typer(_clients, name="clients")
    app.add_typer(_sessions, name="sessions")


@_principals.command("add")
def add_principal(
    name: str,
    role: _RoleName,
    region: _Regions = None,
    all_regions: _AllRegions = False,
    display_name: Annotated[str, typer.Option(help="What the portal calls the person.")] = "",
    subject: Annotated[str, typer.Option(help="The person's id at the company's identity provider.")] = "",
) -> None:
    """Enter somebody, and say who that is at the company's identity provider."""
    from cluster import principals

    settings = load_settings()
    principals.add_principal(settings, name, role, region or (), all_regions=all_regions, display_name=display_name)
    if subject:
        principals.link_identity(settings, name, subject)
    sys.stdout.write(f"{name} is entered\n")


@_principals.command("list")
def list_principals(as_json: _Json = False) -> None:
    """Show everybody."""
    from cluster import principals

    found = principals.list_principals(load_settings())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = Table("principal", "role", "regions", "name", "may sign in", "at the identity provider")
    for one in found:
        known = ", ".join(one.identities) + (" (by groups)" if one.follows_groups else "")
        active = "yes" if one.active else "no"
        table.add_row(
            one.principal_id, one.role, _regions(one.region_ids, one.all_regions), one.display_name, active, known
        )
    Console().print(table)


@_principals.command("link")
def link(name: str, subject: str) -> None:
    """Say who somebody is at the company's identity provider: Entra ID's object id, Okta's or Google's subject."""
    from cluster import principals

    principals.link_identity(load_settings(), name, subject)
    sys.stdout.write(f"{name} is linked\n")


@_principals.command("unlink")
def unlink(name: str) -> None:
    """Take the links to the company's identity provider away and end the person's sessions."""
    from cluster import principals

    sys.stdout.write(f"{principals.unlink_identities(load_settings(), name)} links of {name} are gone\n")


@_principals.command("deactivate")
def deactivate(name: str) -> None:
    """Let somebody sign in no more; within seconds no replica believes a token of theirs."""
    from cluster import principals

    ended = principals.deactivate_principal(load_settings(), name)
    sys.stdout.write(f"{name} may not sign in any more; {ended} sessions ended\n")


@_principals.command("activate")
def activate(name: str) -> None:
    """Let somebody sign in again."""
    from cluster import principals

    principals.activate_principal(load_settings(), name)
    sys.stdout.write(f"{name} may sign in\n")


@_clients.command("add")
def add_client(
    name: str,
    role: _RoleName,
    region: _Regions = None,
    all_regions: _AllRegions = False,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: _Json = False,
) -> None:
    """Enter a service and print its secret, this once."""
    from cluster.services import add_service

    secret = add_service(load_settings(), name, role, region or (), all_regions=all_regions, note=note)
    _show_secret(name, secret, as_json)


@_clients.command("list")
def list_clients(as_json: _Json = False) -> None:
    """Show all services, without their secrets."""
    from cluster.services import list_services

    found = list_services(load_settings())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = Table("service", "role", "regions", "made", "expires", "revoked", "note")
    for one in found:
        times = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (one.created_at, one.expires_at, one.revoked_at))
        table.add_row(one.client_id, one.role, _regions(one.region_ids, one.all_regions), *times, one.note)
    Console().print(table)


@_clients.command("rotate")
def rotate_client(name: str, as_json: _Json = False) -> None:
    """Give a service another secret and print it, this once; the old one is worth nothing from now on."""
    from cluster.services import rotate_service

    _show_secret(name, rotate_service(load_settings(), name), as_json)


@_clients.command("revoke")
def revoke_client(name: str) -> None:
    """Take a service's secret back and end its sessions."""
    from cluster.services import revoke_service

    sys.stdout.write(f"{name} is revoked; {revoke_service(load_settings(), name)} sessions ended\n")


@_sessions.command("list")
def list_sessions(
    principal: Annotated[str | None, typer.Option(help="Of this principal only.")] = None, as_json: _Json = False
) -> None:
    """Show the sessions that go on."""
    from cluster import principals

    found = principals.list_sessions(load_settings(), principal)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = Table("session", "principal", "client", "since", "until at most")
    for one in found:
        table.add_row(
            one.session_id, one.principal_id, one.client_id, f"{one.opened_at:%Y-%m-%d %H:%M}",
            f"{one.expires_at:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    Console().print(table)


@_sessions.command("revoke")
def revoke_sessions(
    session: Annotated[str | None, typer.Argument(help="A session's id.")] = None,
    principal: Annotated[str | None, typer.Option(help="All sessions of this principal.")] = None,
) -> None:
    """End one session, or all of a principal; within seconds no replica believes their tokens."""
    from cluster import principals

    if (session is None) == (principal is None):
        raise typer.BadParameter("give a session's id or --principal")
    ended = principals.revoke_sessions(load_settings(), session_id=session, principal_id=principal)
    sys.stdout.write(f"{ended} sessions ended\n")


def _regions(region_ids: list[int], all_regions: bool) -> str:
    return "all" if all_regions else ", ".join(map(str, region_ids))


def _show_secret(client_id: str, secret: str, as_json: bool) -> None:
    if as_json:
        print_json({"client_id": client_id, "client_secret": secret})
        return
    sys.stdout.write(f"client_id      {client_id}\nclient_secret  {secret}\nIt is not kept: store it now.\n")
