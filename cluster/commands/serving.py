"""Commands of the serving family: put the applications on Ray Serve, and ask them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import orjson
import typer
from rich.console import Console

from cluster.commands.joining import config_file, ray_address
from configs.settings import load_settings
from receipts.identity import parse_receipt_id

if TYPE_CHECKING:
    from typing import Any

    from rich.console import RenderableType

_As = Annotated[
    str, typer.Option("--as", metavar="PRINCIPAL", help="Whom to act as, where the development provider is on.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_EVERYWHERE = "rep.all"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (deploy, openapi, sign_in, sign_out, token, lookup, context, search):
        app.command(command.__name__.replace("_", "-"))(command)


def deploy(
    write_config: Annotated[
        bool, typer.Option(help="Write configs/serve.yaml, for `serve deploy` and KubeRay, and deploy nothing.")
    ] = False,
) -> None:
    """Deploy the serving applications and wait until each answers; doing it again changes only what changed."""
    if write_config:
        from cluster.serve_file import write_serve_file

        for path in write_serve_file():
            Console(stderr=True).print(f"wrote {path}", highlight=False)
        return
    settings = load_settings()
    address = ray_address(settings)  # before Ray is first imported, which is below
    from cluster.deploy import deploy as deploy_applications

    console = Console(stderr=True)
    seen: dict[str, str] = {}

    def report(states: Mapping[str, str]) -> None:
        for name, state in states.items():
            if seen.get(name) != state:
                console.print(f"  {name}: {state.lower().replace('_', ' ')}", highlight=False)
        seen.update(states)

    deploy_applications(settings, address, config_file=config_file(), on_progress=report)
    console.print(f"  the API answers at http://{settings.serve.host}:{settings.serve.port}", highlight=False)


def sign_in() -> None:
    """Sign in with a browser, which comes back to this machine; not needed with the development provider."""
    from cluster import cli_session

    console = Console(stderr=True)

    def show(url: str) -> None:
        console.print(f"Open this address, here, and sign in:\n{url}", highlight=False, soft_wrap=True)

    cli_session.sign_in(load_settings(), show)
    console.print("signed in")


def sign_out() -> None:
    """End the session that `receipts sign-in` began."""
    from cluster import cli_session

    cli_session.sign_out(load_settings())


def openapi(
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without it.")] = None,
) -> None:
    """Print the OpenAPI document of the whole API; needs no running platform."""
    from serve_apps.openapi import whole_document

    document = orjson.dumps(whole_document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if output is None:
        sys.stdout.write(document.decode())
    else:
        output.write_bytes(document)


def token(principal: _As = _EVERYWHERE) -> None:
    """Print an access token, good for an hour: curl -H "Authorization: Bearer $(receipts token)" ..."""
    from cluster.api_client import access_token

    sys.stdout.write(access_token(load_settings(), principal) + "\n")


def lookup(receipt_id: str, principal: _As = _EVERYWHERE, as_json: _Json = False) -> None:
    """Find a receipt by its 22-digit id, with or without dashes, and print it."""
    from cluster.api_client import ask
    from cluster.paper import receipt_paper

    answer = ask(load_settings(), principal, "GET", f"/receipt/{parse_receipt_id(receipt_id)}")
    _show(answer, receipt_paper, as_json)


def context(customer_id: str, principal: _As = _EVERYWHERE, as_json: _Json = False) -> None:
    """Show who a customer is and how they shop."""
    from cluster.api_client import ask
    from cluster.paper import customer_card

    answer = ask(load_settings(), principal, "GET", f"/cs/context/{quote(customer_id, safe='')}")
    _show(answer, customer_card, as_json)


def search(
    text: str,
    principal: _As = _EVERYWHERE,
    today: Annotated[str | None, typer.Option(help="The day that 'last Tuesday' is counted from: YYYY-MM-DD.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: _Json = False,
) -> None:
    """Find receipts by what somebody remembers: 'chicken from East Liberty last Tuesday'."""
    from cluster.api_client import ask
    from cluster.paper import search_hits

    query: dict[str, object] = {"text": text, "limit": limit}
    if today is not None:
        query["today"] = today
    _show(ask(load_settings(), principal, "POST", "/search/", query), search_hits, as_json)


def _show(answer: dict[str, Any], render: Callable[[Mapping[str, Any]], RenderableType], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    else:
        Console().print(render(answer))
