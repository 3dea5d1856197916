"""The pages of our own provider: whom to sign in as during development, and why somebody is not signed in."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; background: #f4f1ea; color: #222; margin: 0; }
main { max-width: 30rem; margin: 10vh auto; background: #fff; padding: 2rem; border-radius: 8px;
       box-shadow: 0 1px 4px rgb(0 0 0 / 15%); }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
p { color: #555; margin: 0 0 1.25rem; }
button { display: flex; justify-content: space-between; width: 100%; padding: .75rem 1rem; margin: .4rem 0;
         font: inherit; text-align: left; background: #fff; border: 1px solid #bbb; border-radius: 6px;
         cursor: pointer; }
button:hover, button:focus-visible { border-color: #205493; outline: 2px solid #205493; }
small { color: #555; }
"""


class Choice(NamedTuple):
    """One principal on the page."""

    principal_id: str
    role: str
    display_name: str


def choice_page(choices: Iterable[Choice], carried: Mapping[str, str]) -> HTMLResponse:
    """Return the page; `carried` is the authorization request, sent back with the choice."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in carried.items()
    )
    buttons = "".join(
        f'<button name="principal_id" value="{escape(one.principal_id)}">'
        f"<span>{escape(one.display_name)}</span>"
        f"<small>{escape(one.principal_id)} · {escape(one.role)}</small></button>"
        for one in choices
    )
    told = "Anyone at this machine may sign in as anyone. It answers on loopback only."
    # Browsers apply form-action to the redirect after a form, too.
    target = urlsplit(carried["redirect_uri"])
    form = f'<form method="post" action="authorize">{hidden}{buttons}</form>'
    return _page("Development sign-in", told, form, f"'self' {target.scheme}://{target.netloc}")


def notice_page(title: str, told: str, status: int = 200) -> HTMLResponse:
    """Return a page that says one thing."""
    return _page(title, told, "", "'none'", status)


def _page(title: str, told: str, content: str, form_action: str, status: int = 200) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style nonce="{nonce}">{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>'
        f"<p>{escape(told)}</p>{content}</main></body></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return HTMLResponse(page, status, {"Content-Security-Policy": policy})
