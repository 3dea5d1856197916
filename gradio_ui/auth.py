"""Signing in and out by OpenID Connect: authorization code with PKCE S256, tokens kept on the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote
from weakref import WeakValueDictionary

import httpx
from authlib.integrations.starlette_client import OAuth, OAuthError, StarletteOAuth2App
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from configs.auth import AuthSettings
from configs.settings import PortalSettings, Settings
from gradio_ui.sessions import Session, renew_session
from receipts.access import Role
from receipts.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)
ALGORITHMS = ["ES256"]  # what our own provider signs with, whoever it is that proves who people are
_LEEWAY_S = 30  # clocks of two machines
_TIMEOUT_S = 5  # discovery, keys and the token endpoint answer at once or not at all


def oidc_client(auth: AuthSettings, portal: PortalSettings) -> StarletteOAuth2App:
    """Return the client of the issuer; what it supports is discovered at the first sign-in."""
    secret = portal.client_secret.get_secret_value() if portal.client_secret else None
    client = OAuth().register(
        name="issuer",
        client_id=portal.client_id,
        client_secret=secret,
        server_metadata_url=f"{auth.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
            "timeout": _TIMEOUT_S,
            "trust_env": False,
        },
    )
    return cast("StarletteOAuth2App", client)


class SignIn:
    """The portal as a client of the issuer in the settings."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool) -> None:
        self._auth = settings.auth
        self._portal = settings.portal
        self._client = oidc_client(settings.auth, settings.portal)
        self._renewing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._callback = f"{settings.portal.public_url.rstrip('/')}/callback"
        self.pool = pool

    async def begin(self, request: Request) -> tuple[str, dict[str, object]]:
        """Return the issuer's page to go to and the state to keep until the browser is back; raises Unavailable."""
        state: dict[str, object] = {}
        request.scope["session"] = state  # where Authlib writes state, nonce and PKCE verifier
        try:
            metadata = await self._client.load_server_metadata()
            if metadata.get("issuer") != self._auth.issuer:
                raise Unavailable("The identity provider calls itself differently from RECEIPTS_AUTH__ISSUER.")
            response = await self._client.authorize_redirect(request, self._callback)
        except (httpx.HTTPError, ValueError):
            raise Unavailable("The identity provider cannot be reached at the moment. Try again shortly.") from None
        return response.headers["location"], state

    async def complete(self, request: Request, state: dict[str, object]) -> Session:
        """Redeem the code the browser came back with; raises Unauthenticated or Unavailable."""
        request.scope["session"] = state
        try:
            token = await self._client.authorize_access_token(request)
            return await self._session(token)
        except (OAuthError, JoseError, KeyError, ValueError):
            raise Unauthenticated("The identity provider did not confirm the sign-in. Please try again.") from None
        except httpx.HTTPError:
            raise Unavailable("The identity provider cannot be reached at the moment. Try again shortly.") from None

    async def renew(self, cookie: str) -> Session | None:
        """Return a cookie's session with its next access token, or None when the issuer says it has ended.

        However many requests come at once, one asks the issuer; while that is away the session stays as it is.
        """
        # A browser that hangs up must not lose what the issuer has already exchanged.
        return await asyncio.shield(asyncio.ensure_future(self._renew(cookie)))

    async def _renew(self, cookie: str) -> Session | None:
        # The row in Postgres holds off other processes; here nobody waits with a connection of the pool.
        async with self._renewing.setdefault(cookie, asyncio.Lock()):
            return await renew_session(self.pool, cookie, self._exchange)

    async def _exchange(self, session: Session) -> Session | None:
        form = {"grant_type": "refresh_token", "refresh_token": session.refresh_token}
        try:
            answer = await self._ask("token_endpoint", form)
            return None if answer.is_client_error else await self._session(answer.raise_for_status().json())
        except (httpx.HTTPError, JoseError, KeyError, ValueError):
            return session

    async def end(self, session: Session) -> None:
        """Tell the issuer that a session is over, so that no replica believes its tokens; at best, it is reached."""
        form = {"token": session.refresh_token or session.access_token}
        try:
            await self._ask("revocation_endpoint", form)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            log.warning("the issuer was not told that a session is over: %s", type(error).__name__)

    async def _ask(self, endpoint: str, form: dict[str, str]) -> httpx.Response:
        metadata = await self._client.load_server_metadata()
        secret = self._portal.client_secret
        auth = (self._portal.client_id, secret.get_secret_value()) if secret else httpx.USE_CLIENT_DEFAULT
        named = form | ({} if secret else {"client_id": self._portal.client_id})
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            return await client.post(metadata[endpoint], data=named, auth=auth)

    async def _session(self, told: Mapping[str, Any]) -> Session:
        """Read who it is from the token that the API will judge, so that portal and API never disagree."""
        access_token = str(told["access_token"])
        keys = await self._client.fetch_jwk_set()
        try:
            token = jwt.decode(access_token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        except (JoseError, ValueError):  # the issuer may have changed its keys since
            keys = await self._client.fetch_jwk_set(force=True)
            token = jwt.decode(access_token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._auth.issuer},
            aud={"essential": True, "value": self._auth.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        claims = token.claims
        registry.validate(claims)
        until = datetime.fromtimestamp(int(claims["exp"]), UTC)
        refresh_token = str(told.get("refresh_token", ""))
        left = timedelta(seconds=int(told.get("refresh_expires_in", 0))) if refresh_token else timedelta()
        return Session(
            principal_id=str(claims["sub"]),
            role=Role(claims["role"]),
            display_name=str(claims.get("name") or claims["sub"]),
            access_token=access_token,
            expires_at=max(until, datetime.now(UTC) + left),
            refresh_token=refresh_token,
            token_until=until,
        )


def safe_return(target: str) -> str:
    """Return where to go after signing in: a path of ours, whatever was asked for."""
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if local else "/"


def sign_in_url(target: str) -> str:
    """Return the address that signs in and then comes back to a path."""
    return f"/sign-in?next={quote(target, safe='')}"
