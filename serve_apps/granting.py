"""The token endpoint: a code, a refresh token or a service's secret becomes tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import unquote_plus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_apps.exchange import Exchange, exchange_of
from serve_apps.sessions import Opened, digest_of
from serve_apps.sign_in import SQL, Provider, SignIn

router = APIRouter()
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CLIENT_REFUSED = "The client_id or the client_secret is wrong."


class _Granted(NamedTuple):
    opened: Opened
    client_id: str
    nonce: str | None  # of the sign-in; None when nobody signed in just now and there is no ID token


class Refused(NamedTuple):
    """An error of RFC 6749, section 5.2."""

    error: str
    description: str
    status: int = 400

    def response(self) -> Response:
        """Return the answer in that standard's form, which clients understand."""
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status)


@router.post("/token")
async def grant(request: Request, provider: SignIn) -> Response:
    """Answer RFC 6749 sections 4.1.3, 4.4 and 6."""
    form = await form_of(request)
    exchange = exchange_of(request.scope)
    way = _WAYS.get(form.get("grant_type", ""))
    if way is None:
        return Refused("unsupported_grant_type", f"grant_type must be one of: {', '.join(_WAYS)}.").response()
    exchange.constraints["grant_type"] = form["grant_type"]
    granted = await way(provider, form, exchange)
    if isinstance(granted, Refused):
        return granted.response()
    exchange.principal = granted.opened.principal
    return JSONResponse(_tokens(provider, granted))


async def _by_code(provider: Provider, form: dict[str, str], _: Exchange) -> _Granted | Refused:
    """Redeem a code. It is gone after the first attempt, whether or not that one is right."""
    refused = Refused("invalid_grant", "The code is unknown, used, expired, or was given to another client.")
    async with provider.sessions.pool.connection() as connection:
        cursor = await connection.execute(SQL["redeem_code"], {"code_digest": digest_of(form.get("code", ""))})
        row = await cursor.fetchone()
    if row is None:
        return refused
    principal_id, client_id, redirect_uri, challenge, nonce = row
    verifier = hashlib.sha256(form.get("code_verifier", "").encode("utf-8", "surrogatepass")).digest()
    proved = hmac.compare_digest(base64.urlsafe_b64encode(verifier).rstrip(b"="), challenge.encode())
    if not (proved and form.get("client_id") == client_id and form.get("redirect_uri") == redirect_uri):
        return refused
    if not provider.proves_itself(client_id, form.get("client_secret", "")):
        return Refused("invalid_client", _CLIENT_REFUSED, 401)
    opened = await provider.sessions.open(principal_id, client_id, refreshable=True)
    return _Granted(opened, client_id, nonce) if opened else refused


async def _by_refresh_token(provider: Provider, form: dict[str, str], exchange: Exchange) -> _Granted | Refused:
    client_id = form.get("client_id", "")
    if not provider.proves_itself(client_id, form.get("client_secret", "")):
        return Refused("invalid_client", _CLIENT_REFUSED, 401)
    rotated = await provider.sessions.rotate(form.get("refresh_token", ""), client_id)
    if rotated.opened is None:
        exchange.principal = rotated.principal
        exchange.constraints["refresh"] = rotated.outcome
        return Refused("invalid_grant", "The refresh token is unknown, used or expired, or its session has ended.")
    return _Granted(rotated.opened, client_id, None)


async def _by_secret(provider: Provider, form: dict[str, str], exchange: Exchange) -> _Granted | Refused:
    """Check a service's secret. Failed attempts are limited, because it can be guessed at; a code cannot."""
    refused = Refused("invalid_client", _CLIENT_REFUSED, 401)
    client_id = form.get("client_id", "")
    attempt = await provider.limits.begin_sign_in(exchange.address or None, client_id)
    if not await provider.service_proves_itself(client_id, form.get("client_secret", "")):
        return refused
    opened = await provider.sessions.open(client_id, client_id, refreshable=False)
    if opened is None:
        return refused
    await provider.limits.forgive(attempt)
    return _Granted(opened, client_id, None)


_WAYS = {"authorization_code": _by_code, "refresh_token": _by_refresh_token, "client_credentials": _by_secret}


def _tokens(provider: Provider, granted: _Granted) -> dict[str, object]:
    issuer, opened = provider.issuer, granted.opened
    tokens: dict[str, object] = {
        "access_token": issuer.access_token(opened.principal, opened.display_name, granted.client_id),
        "token_type": "Bearer",
        "expires_in": issuer.auth.access_token_s,
    }
    if opened.refresh_token is not None:
        tokens |= {"refresh_token": opened.refresh_token, "refresh_expires_in": opened.left_s}
    if granted.nonce is not None:
        tokens["id_token"] = issuer.id_token(opened.principal, opened.display_name, granted.client_id, granted.nonce)
    return tokens


async def form_of(request: Request) -> dict[str, str]:
    """Return the form's fields, with client credentials that stand in a header."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    form |= _basic_credentials(request)
    if not _CLIENT_ID.fullmatch(form.get("client_id", "")):
        form["client_id"] = ""  # nobody's, and safe to ask the database for
    return form


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
