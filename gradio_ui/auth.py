"""Signing in and out by OpenID Connect: authorization code with PKCE S256, tokens kept on the server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

import httpx
from authlib.integrations.starlette_client import OAuth, OAuthError, StarletteOAuth2App
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from configs.auth import AuthSettings
from configs.settings import PortalSettings, Settings
from gradio_ui.sessions import Session
from receipts.access import Role
from receipts.errors import Unauthenticated, Unavailable

ALGORITHMS = ["ES256", "RS256", "PS256"]  # what the identity providers we know sign with; never none, never HMAC
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
        self._client = oidc_client(settings.auth, settings.portal)
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
            return await self._session(str(token["access_token"]))
        except (OAuthError, JoseError, KeyError, ValueError):
            raise Unauthenticated("The identity provider did not confirm the sign-in. Please try again.") from None
        except httpx.HTTPError:
            raise Unavailable("The identity provider cannot be reached at the moment. Try again shortly.") from None

    async def _session(self, access_token: str) -> Session:
        """Read who it is from the token that the API will judge, so that portal and API never disagree."""
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
        return Session(
            principal_id=str(claims["sub"]),
            role=Role(claims["role"]),
            display_name=str(claims.get("name") or claims["sub"]),
            access_token=access_token,
            expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
        )


def safe_return(target: str) -> str:
    """Return where to go after signing in: a path of ours, whatever was asked for."""
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if local else "/"


def sign_in_url(target: str) -> str:
    """Return the address that signs in and then comes back to a path."""
    return f"/sign-in?next={quote(target, safe='')}"
