"""Our own OpenID provider: signs for portal, command line and services, whoever it is that proves who people are."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request

from configs.settings import Settings, SettingsError
from receipts.database import DatabaseRole
from receipts.errors import Forbidden
from serve_apps import authorizing, ending, granting
from serve_apps.api import Lifespan, build_api
from serve_apps.issuing import Issuer
from serve_apps.keys import load_signing_keys, public_jwk
from serve_apps.loopback import is_loopback, is_loopback_host
from serve_apps.serving import kept, serving_context
from serve_apps.sessions import Sessions
from serve_apps.sign_in import Provider, SignIn
from serve_apps.upstream import Upstream

CLIENT_SECRET = "development_client_secret"  # noqa: S105 - the key of the secret in secrets.json
router = APIRouter()


@router.get("/.well-known/openid-configuration")
async def discovery(provider: SignIn) -> dict[str, object]:
    """Return the discovery document (OpenID Connect Discovery 1.0)."""
    issuer = provider.settings.auth.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "end_session_endpoint": f"{issuer}/logout",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "scopes_supported": ["openid"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "name", "role", "sid"],
        "authorization_response_iss_parameter_supported": True,
    }


@router.get("/jwks")
async def key_set(provider: SignIn) -> dict[str, object]:
    """Return the public keys that tokens are checked with, those included that do not sign yet or no more."""
    return {"keys": provider.published}


def require_loopback(settings: Settings) -> None:
    """Raise SettingsError when the development sign-in, where anyone may be anyone, could be reached by others."""
    if not is_loopback_host(settings.serve.host):
        raise SettingsError(
            "RECEIPTS_AUTH__DEVELOPMENT_PROVIDER is true, but RECEIPTS_SERVE__HOST is no loopback address: "
            "the development sign-in, where anyone may be anyone, starts on loopback only."
        )
    if not is_loopback(settings.auth.issuer):
        raise SettingsError(
            "RECEIPTS_AUTH__DEVELOPMENT_PROVIDER is true, but RECEIPTS_AUTH__ISSUER is no loopback address: "
            "give the issuer of http://127.0.0.1, or switch the development provider off."
        )


def build_app(settings: Settings) -> FastAPI:
    """Return the sign-in application. Raises SettingsError when it may not run here, or has no key to sign with."""
    development = settings.auth.development_provider
    if development:
        require_loopback(settings)
    keys = load_signing_keys(settings)
    upstream = Upstream(settings.auth) if settings.auth.upstream.issuer else None
    context = serving_context(settings, DatabaseRole.AUTH, "auth")
    routers = [router, authorizing.router, granting.router, ending.router]
    app = build_api(
        "Sign-in",
        context,
        [_local(one) for one in routers] if development else routers,
        lifespan=_reaching(upstream) if upstream else None,
        public=True,
        purpose="sign_in",
    )
    app.state.provider = Provider(
        settings=settings,
        issuer=Issuer(settings.auth, keys[0]),
        sessions=Sessions(settings.auth, context.pool),
        limits=context.limits,
        upstream=upstream,
        published=[public_jwk(key.public_key()) for key in keys],
        development_secret=_client_secret(settings) if development else None,
    )
    return app


def _reaching(upstream: Upstream) -> Lifespan:
    """Return the lifespan that keeps the upstream provider's keys fresh; one that is down does not stop the start."""

    @asynccontextmanager
    async def reaching(_: FastAPI) -> AsyncGenerator[None, None]:
        await upstream.keys.refresh()
        async with upstream.client, kept(upstream.keys.keep_fresh()):
            yield

    return reaching


def _local(routes: APIRouter) -> APIRouter:
    """Return the routes behind the rule that the Host header, too, must name this machine (against rebinding)."""
    local = APIRouter(dependencies=[Depends(_require_local_host)])
    local.include_router(routes)
    return local


def _require_local_host(request: Request) -> None:
    if not is_loopback(f"//{request.headers.get('host', '')}"):
        raise Forbidden("The development sign-in answers on loopback only.")


def _client_secret(settings: Settings) -> str:
    path = settings.state_dir / "secrets.json"
    stored: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    if CLIENT_SECRET not in stored:
        raise SettingsError(f"{path} holds no {CLIENT_SECRET}; `receipts up` makes one.")
    return stored[CLIENT_SECRET]
