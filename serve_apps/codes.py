"""Authorization requests of our clients, and the codes that answer them."""

from __future__ import annotations

import secrets
from typing import Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import RedirectResponse, Response

from receipts.errors import InvalidInput
from serve_apps.sessions import digest_of
from serve_apps.sign_in import SQL, Provider

_LIFETIME_S = 60  # a redirect takes a second; RFC 6749 advises ten minutes at most


class AuthorizationRequest(BaseModel):
    """What a client asks for (RFC 6749 section 4.1.1, RFC 7636); unknown parameters are ignored, as the RFC says."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    response_type: Literal["code"]
    client_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    redirect_uri: str = Field(max_length=500, pattern=r"^https?://[!-~]+$")
    code_challenge: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")
    code_challenge_method: Literal["S256"]
    scope: str = Field("openid", max_length=200)
    state: str = Field("", max_length=500)
    nonce: str = Field("", max_length=500)

    @field_validator("redirect_uri")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.fragment or parts.username is not None or set(parts.netloc) & set(";,'\""):
            raise ValueError("expected an address without a user and without a fragment")
        return value


def require_client(provider: Provider, asked: AuthorizationRequest) -> None:
    """Raise InvalidInput unless codes of this client may be sent where it says."""
    if not provider.may_return_to(asked.client_id, asked.redirect_uri):
        raise InvalidInput("redirect_uri", "is no address that codes of this client may be sent to")


async def give_code(provider: Provider, principal_id: str, asked: AuthorizationRequest) -> Response:
    """Send the browser back to the client with a code that is good once, for a minute."""
    code = secrets.token_urlsafe(32)
    kept = asked.model_dump(include={"client_id", "redirect_uri", "code_challenge", "nonce"})
    row = {**kept, "principal_id": principal_id, "code_digest": digest_of(code), "lifetime_s": _LIFETIME_S}
    async with provider.sessions.pool.connection() as connection:
        await connection.execute(SQL["record_code"], row)
    answer = urlencode({"code": code, "state": asked.state, "iss": provider.settings.auth.issuer})
    joint = "&" if urlsplit(asked.redirect_uri).query else "?"
    return RedirectResponse(f"{asked.redirect_uri}{joint}{answer}", status_code=303)
