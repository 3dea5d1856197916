"""What the routes of our own OpenID provider share."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from configs.settings import Settings
from receipts.sql import SqlBlocks, load_sql
from serve_apps.issuing import Issuer
from serve_apps.limits import Limits
from serve_apps.loopback import is_loopback
from serve_apps.sessions import Sessions, digest_of
from serve_apps.upstream import Upstream

SQL: SqlBlocks = load_sql("serve_apps", "sign_in")
CLI = "receipts-cli"  # the command line, which listens on a loopback port of its own (RFC 8252)


@dataclass(frozen=True, slots=True)
class Provider:
    """Who signs, for whom, and where people prove who they are."""

    settings: Settings
    issuer: Issuer
    sessions: Sessions
    limits: Limits
    upstream: Upstream | None
    published: list[dict[str, str]]  # the key set
    development_secret: str | None  # with which anything may ask for tokens of anyone; None in production

    def may_return_to(self, client_id: str, redirect_uri: str) -> bool:
        """Say whether a client's codes may be sent to an address: its own, exactly."""
        portal = self.settings.portal
        if client_id == portal.client_id and redirect_uri == f"{portal.public_url.rstrip('/')}/callback":
            return True
        if not (client_id == CLI or self.settings.auth.development_provider):
            return False
        return redirect_uri.startswith("http://") and is_loopback(redirect_uri)

    def proves_itself(self, client_id: str, client_secret: str) -> bool:
        """Say whether a client of people's is who it says; a client without a secret in the settings has none."""
        secret = self.settings.portal.client_secret if client_id == self.settings.portal.client_id else None
        return secret is None or hmac.compare_digest(client_secret.encode(), secret.get_secret_value().encode())

    async def service_proves_itself(self, client_id: str, client_secret: str) -> bool:
        """Say whether a service's secret is right."""
        development = self.development_secret
        if development is not None and hmac.compare_digest(client_secret.encode(), development.encode()):
            return True
        row = {"client_id": client_id, "secret_digest": digest_of(client_secret)}
        async with self.sessions.pool.connection() as connection:
            return await (await connection.execute(SQL["find_client"], row)).fetchone() is not None


def _provider(request: Request) -> Provider:
    return request.app.state.provider


SignIn = Annotated[Provider, Depends(_provider)]
