"""The authorization endpoint: prove who you are, on the development page or at the company's provider; get a code."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from receipts.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from serve_apps.admission import admit
from serve_apps.codes import AuthorizationRequest, give_code, require_client
from serve_apps.exchange import exchange_of
from serve_apps.serving import Serving
from serve_apps.sessions import digest_of
from serve_apps.sign_in import SQL, Provider, SignIn
from serve_apps.sign_in_page import Choice, choice_page, notice_page
from serve_apps.upstream import Proofs, Upstream

_AWAY_S = 600  # how long a person may take at the company's provider: a second factor takes its time
_TOKEN_BYTES = 32
router = APIRouter()


class Chosen(AuthorizationRequest):
    """The request again, and whom the person chose."""

    principal_id: str = Field(max_length=100)


@router.get("/authorize")
async def authorize(asked: Annotated[AuthorizationRequest, Query()], serving: Serving, provider: SignIn) -> Response:
    """Send the browser to the company's provider, or show the development page."""
    require_client(provider, asked)
    if provider.upstream is not None:
        return await _send_away(provider, provider.upstream, asked)
    _require_development(provider)
    async with serving.pool.connection() as connection:
        cursor = await connection.execute(SQL["list_principals"])
        choices = [Choice(*row) for row in await cursor.fetchall()]
    return choice_page(choices, asked.model_dump())


@router.post("/authorize")
async def choose(chosen: Annotated[Chosen, Form()], provider: SignIn) -> Response:
    """Take what was chosen on the development page."""
    _require_development(provider)
    require_client(provider, chosen)
    if await provider.sessions.find(chosen.principal_id, "") is None:
        raise InvalidInput("principal_id", "is nobody who may sign in")
    return await give_code(provider, chosen.principal_id, chosen)


@router.get("/callback")
async def come_back(request: Request, provider: SignIn) -> Response:
    """Take the browser back from the company's provider, find out who it is, and send it on to the client."""
    upstream = provider.upstream
    if upstream is None:
        raise NotFound
    try:
        answer = await _recognised(request, provider, upstream)
    except (Unauthenticated, Forbidden) as error:
        status = 403 if isinstance(error, Forbidden) else 401
        answer = notice_page("You are not signed in", str(error), status)
    return _without_cookie(answer, provider)


async def _recognised(request: Request, provider: Provider, upstream: Upstream) -> Response:
    """Return the way back to the client for whoever has proved to be somebody we know."""
    secret = request.cookies.get(_cookie(provider), "")
    asked = await _taken(provider, request.query_params.get("state", ""), secret)
    upstream.check_issuer(request.query_params.get("iss"))
    if "code" not in request.query_params:
        raise Unauthenticated("The company's sign-in was cancelled or refused.")
    identity = await upstream.redeem(request.query_params["code"], Proofs(secret))
    principal_id = await admit(provider.sessions.pool, identity, upstream.settings.groups)
    who = await provider.sessions.find(principal_id, "") if principal_id else None
    if principal_id is None or who is None:
        raise Forbidden("You are known to your company, but have no access here. Ask an administrator for it.")
    exchange_of(request.scope).principal = who[0]
    return await give_code(provider, principal_id, asked)


async def _send_away(provider: Provider, upstream: Upstream, asked: AuthorizationRequest) -> Response:
    """Keep the request until the browser is back, and tie it to this browser by a cookie that is kept nowhere else."""
    state, secret = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(_TOKEN_BYTES)
    response = RedirectResponse(upstream.authorization_url(state, Proofs(secret)), status_code=303)
    row = {
        "state_digest": digest_of(state),
        "browser_digest": digest_of(secret),
        "asked": asked.model_dump_json(),
        "lifetime_s": _AWAY_S,
    }
    async with provider.sessions.pool.connection() as connection:
        await connection.execute(SQL["record_sign_in"], row)
    response.set_cookie(
        _cookie(provider), secret, max_age=_AWAY_S, path="/", secure=_is_secure(provider), httponly=True, samesite="lax"
    )
    return response


async def _taken(provider: Provider, state: str, secret: str) -> AuthorizationRequest:
    """Return what was asked for before the browser was sent away, once. Raises Unauthenticated."""
    row = {"state_digest": digest_of(state), "browser_digest": digest_of(secret)}
    async with provider.sessions.pool.connection() as connection:
        found = await (await connection.execute(SQL["take_sign_in"], row)).fetchone()
    if found is None or not found[1]:
        raise Unauthenticated("This sign-in was not begun in this browser, or more than ten minutes ago.")
    return AuthorizationRequest.model_validate_json(found[0])


def _require_development(provider: Provider) -> None:
    if not provider.settings.auth.development_provider:
        raise Forbidden("Nobody can sign in here: no identity provider is set (RECEIPTS_AUTH__UPSTREAM__ISSUER).")


def _is_secure(provider: Provider) -> bool:
    return provider.settings.auth.issuer.startswith("https://")


def _cookie(provider: Provider) -> str:
    # __Host- binds a cookie to this host and to TLS.
    return "__Host-receipts_sign_in" if _is_secure(provider) else "receipts_sign_in"


def _without_cookie(response: Response, provider: Provider) -> Response:
    response.delete_cookie(_cookie(provider), path="/", secure=_is_secure(provider), httponly=True, samesite="lax")
    return response
