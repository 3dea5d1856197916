"""The built-in OpenID provider for development: on loopback only, where anyone may sign in as anyone."""

from __future__ import annotations

import json

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request

from configs.settings import Settings, SettingsError
from receipts.database import DatabaseRole
from receipts.errors import Forbidden
from serve_apps import authorizing, granting
from serve_apps.api import build_api
from serve_apps.issuing import Issuer
from serve_apps.keys import DEVELOPMENT_KEY, load_private_key, public_jwk
from serve_apps.serving import serving_context
from serve_apps.sign_in import Provider, SignIn, is_loopback, is_loopback_host

CLIENT_SECRET = "development_client_secret"  # noqa: S105 - the key of the secret in secrets.json
router = APIRouter()


@router.get("/.well-known/openid-configuration")
async def discovery(provider: SignIn) -> dict[str, object]:
    """Return the discovery document (OpenID Connect Discovery 1.0)."""
    issuer = provider.issuer.auth.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
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
    """Return the public key that tokens are checked with."""
    return {"keys": [public_jwk(provider.issuer.key.public_key())]}


def require_loopback(settings: Settings) -> None:
    """Raise SettingsError unless the development provider is switched on and everything about it is on loopback."""
    if not settings.auth.development_provider:
        raise SettingsError("RECEIPTS_AUTH__DEVELOPMENT_PROVIDER is false, so the development sign-in does not start.")
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
    """Return the sign-in application. Raises SettingsError when it may not run here."""
    require_loopback(settings)
    context = serving_context(settings, DatabaseRole.AUTH)
    app = build_api(
        "Development sign-in",
        context,
        [_local(router), _local(authorizing.router), _local(granting.router)],
        public=True,
        purpose="sign_in",
    )
    key = load_private_key(settings.state_dir / DEVELOPMENT_KEY)
    app.state.provider = Provider(Issuer(settings.auth, key), _client_secret(settings))
    return app


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
