"""The token endpoint of the development provider: a code or a client's secret becomes tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple
from urllib.parse import unquote_plus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receipts.access import Principal
from serve_apps.exchange import exchange_of
from serve_apps.serving import Serving, ServingContext
from serve_apps.sign_in import SQL, Provider, SignIn, open_session

router = APIRouter()


class _Granted(NamedTuple):
    principal: Principal
    display_name: str
    client_id: str
    nonce: str | None  # of the sign-in; None when no person signed in and there is no ID token


class _Refused(NamedTuple):
    error: str  # one of RFC 6749 section 5.2
    description: str
    status: int = 400


@router.post("/token")
async def grant(request: Request, serving: Serving, provider: SignIn) -> Response:
    """Answer RFC 6749 sections 4.1.3 and 4.4; errors are in that standard's form, which clients understand."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    form |= _basic_credentials(request)
    match form.get("grant_type"):
        case "authorization_code":
            granted = await _by_code(serving, form)
        case "client_credentials":
            granted = await _by_secret(serving, provider, form, exchange_of(request.scope).address)
        case _:
            granted = _Refused("unsupported_grant_type", "grant_type must be authorization_code or client_credentials.")
    if isinstance(granted, _Refused):
        return JSONResponse({"error": granted.error, "error_description": granted.description}, granted.status)
    exchange_of(request.scope).principal = granted.principal
    return JSONResponse(_tokens(provider, granted))


async def _by_code(serving: ServingContext, form: dict[str, str]) -> _Granted | _Refused:
    """Redeem a code. It is gone after the first attempt, whether or not that one is right."""
    refused = _Refused("invalid_grant", "The code is unknown, used, expired, or was given to another client.")
    async with serving.pool.connection() as connection:
        cursor = await connection.execute(SQL["redeem_code"], {"code": form.get("code", "").encode()})
        row = await cursor.fetchone()
    if row is None:
        return refused
    principal_id, client_id, redirect_uri, challenge, nonce = row
    verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    proved = hmac.compare_digest(base64.urlsafe_b64encode(verifier).rstrip(b"="), challenge.encode())
    if not (proved and form.get("client_id") == client_id and form.get("redirect_uri") == redirect_uri):
        return refused
    session = await open_session(serving.pool, principal_id)
    return _Granted(*session, client_id, nonce) if session else refused


async def _by_secret(
    serving: ServingContext, provider: Provider, form: dict[str, str], address: str
) -> _Granted | _Refused:
    """Check a client's secret. Failed attempts are limited, because it can be guessed at; a code cannot."""
    refused = _Refused("invalid_client", "The client_id or the client_secret is wrong.", 401)
    client_id = form.get("client_id", "")
    attempt = await serving.limits.begin_sign_in(address or None, client_id)
    if not hmac.compare_digest(form.get("client_secret", "").encode(), provider.client_secret.encode()):
        return refused
    session = await open_session(serving.pool, client_id)
    if session is None:
        return refused
    await serving.limits.forgive(attempt)
    return _Granted(*session, client_id, None)


def _tokens(provider: Provider, granted: _Granted) -> dict[str, object]:
    issuer = provider.issuer
    tokens: dict[str, object] = {
        "access_token": issuer.access_token(granted.principal, granted.display_name),
        "token_type": "Bearer",
        "expires_in": issuer.auth.access_token_s,
    }
    if granted.nonce is not None:
        tokens["id_token"] = issuer.id_token(granted.principal, granted.display_name, granted.client_id, granted.nonce)
    return tokens


def _basic_credentials(request: Request) -> dict[str, str]:
    """Read client credentials from an Authorization header, if that is how the client sends them."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
