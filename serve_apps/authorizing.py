"""The authorization endpoint of the development provider: choose whom to sign in as, get a code."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Form, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import RedirectResponse, Response

from receipts.errors import InvalidInput
from serve_apps.development_page import Choice, choice_page
from serve_apps.serving import Serving
from serve_apps.sign_in import SQL, SignIn, is_loopback, open_session

_CODE_LIFETIME_S = 60  # a redirect takes a second; RFC 6749 advises ten minutes at most
router = APIRouter()


class AuthorizationRequest(BaseModel):
    """What a client asks for (RFC 6749 section 4.1.1, RFC 7636); unknown parameters are ignored, as the RFC says."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    response_type: Literal["code"]
    client_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    redirect_uri: str = Field(max_length=500, pattern=r"^http://[!-~]+$")
    code_challenge: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")
    code_challenge_method: Literal["S256"]
    scope: str = Field("openid", max_length=200)
    state: str = Field("", max_length=500)
    nonce: str = Field("", max_length=500)

    @field_validator("redirect_uri")
    @classmethod
    def _leads_here(cls, value: str) -> str:
        parts = urlsplit(value)
        if not is_loopback(value) or parts.fragment or parts.username is not None or set(parts.netloc) & set(";,'\""):
            raise ValueError("expected a loopback address such as http://127.0.0.1:7860/callback")
        return value


class Chosen(AuthorizationRequest):
    """The request again, and whom the person chose."""

    principal_id: str = Field(max_length=100)


@router.get("/authorize")
async def choose(asked: Annotated[AuthorizationRequest, Query()], serving: Serving) -> Response:
    """Show the page of principals."""
    async with serving.pool.connection() as connection:
        cursor = await connection.execute(SQL["list_principals"])
        choices = [Choice(*row) for row in await cursor.fetchall()]
    return choice_page(choices, asked.model_dump())


@router.post("/authorize")
async def authorize(chosen: Annotated[Chosen, Form()], serving: Serving, provider: SignIn) -> Response:
    """Send the browser back to the client with a code that is good once, for a minute."""
    if await open_session(serving.pool, chosen.principal_id) is None:
        raise InvalidInput("principal_id", "is nobody who may sign in")
    code = secrets.token_urlsafe(32)
    kept = chosen.model_dump(include={"principal_id", "client_id", "redirect_uri", "code_challenge", "nonce"})
    async with serving.pool.connection() as connection:
        await connection.execute(SQL["record_code"], {**kept, "code": code.encode(), "lifetime_s": _CODE_LIFETIME_S})
    answer = urlencode({"code": code, "state": chosen.state, "iss": provider.issuer.auth.issuer})
    joint = "&" if urlsplit(chosen.redirect_uri).query else "?"
    return RedirectResponse(f"{chosen.redirect_uri}{joint}{answer}", status_code=303)
