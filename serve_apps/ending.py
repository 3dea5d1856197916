"""The ends of a session: a client gives its token back, or a person signs out."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import jwt
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from receipts.errors import Unauthenticated
from receipts.signed_tokens import MAX_BYTES
from serve_apps.exchange import Exchange, exchange_of
from serve_apps.granting import Refused, form_of
from serve_apps.serving import Serving
from serve_apps.sign_in import Provider, SignIn
from serve_apps.sign_in_page import notice_page
from serve_apps.tokens import ALGORITHM, TokenVerifier

router = APIRouter()


@router.post("/revoke")
async def revoke(request: Request, serving: Serving, provider: SignIn) -> Response:
    """End the session that a token belongs to (RFC 7009); 200 also for a token that is worth nothing."""
    form = await form_of(request)
    client_id = form["client_id"]
    if not provider.proves_itself(client_id, form.get("client_secret", "")):
        return Refused("invalid_client", "The client_id or the client_secret is wrong.", 401).response()
    token = form.get("token", "")
    found = _session_of_access_token(serving.tokens, token)
    if found is None:
        found = await provider.sessions.find_by_refresh_token(token, client_id)
    if found is not None:
        await _end(provider, found, client_id, exchange_of(request.scope))
    return Response(status_code=200)


@router.get("/logout")
async def log_out(request: Request, provider: SignIn) -> Response:
    """End the session that an ID token of ours names (OpenID Connect RP-Initiated Logout 1.0)."""
    asked = request.query_params
    found = _session_of_id_token(provider, asked.get("id_token_hint", ""))
    if found is None:
        return notice_page("Nobody is signed out", "The request names no session of ours.", 400)
    session_id, principal_id, client_id = found
    await _end(provider, (session_id, principal_id), client_id, exchange_of(request.scope))
    target = asked.get("post_logout_redirect_uri", "")
    if target != f"{provider.settings.portal.public_url.rstrip('/')}/signed-out":
        return notice_page("You are signed out", "This window can be closed.")
    state = asked.get("state")
    joint = "&" if urlsplit(target).query else "?"
    return RedirectResponse(f"{target}{joint}{urlencode({'state': state})}" if state else target, 303)


async def _end(provider: Provider, found: tuple[str, str], client_id: str, exchange: Exchange) -> None:
    session_id, principal_id = found
    who = await provider.sessions.find(principal_id, session_id)
    exchange.principal = who[0] if who else None
    await provider.sessions.end(session_id, client_id, "sign_out")


def _session_of_access_token(tokens: TokenVerifier, token: str) -> tuple[str, str] | None:
    try:
        principal = tokens.verify(token)
    except Unauthenticated:
        return None
    return principal.session_id, principal.principal_id


def _session_of_id_token(provider: Provider, token: str) -> tuple[str, str, str] | None:
    """Return session, principal and client of an ID token that we signed, be it expired: it asks for an end."""
    if len(token) > MAX_BYTES:
        return None
    try:
        header = jwt.get_unverified_header(token)
        key = next((jwt.PyJWK(one).key for one in provider.published if one["kid"] == header.get("kid")), None)
        if key is None or header.get("typ") != "JWT":
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=provider.settings.auth.issuer,
            options={"verify_exp": False, "verify_aud": False, "require": ["sid", "sub", "aud"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims["sid"], claims["sub"], claims["aud"]
