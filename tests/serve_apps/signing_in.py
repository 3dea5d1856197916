"""A browser and a client of our own OpenID provider: what the sign-in tests do again and again."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx

from configs.settings import Settings

VERIFIER = "a-verifier-of-forty-three-or-more-characters-0123456789"


@dataclass
class Browser:
    """Follows redirects between our provider, which runs in this process, and the company's, which does not."""

    api: httpx.AsyncClient
    settings: Settings

    @property
    def client_id(self) -> str:
        """Return the portal's name."""
        return self.settings.portal.client_id

    @property
    def callback(self) -> str:
        """Return where the portal waits for codes."""
        return f"{self.settings.portal.public_url}/callback"

    def asks(self, **changes: str) -> dict[str, str]:
        """Return the portal's authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        return {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": "openid",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | changes

    async def leave(self) -> httpx.Response:
        """Begin a sign-in: the answer leads to the company's provider."""
        return await self.api.get("/auth/authorize", params=self.asks())

    async def prove(self, url: str) -> str:
        """Log in at the company's provider and return the address it sends the browser back to."""
        issuer = self.settings.auth.upstream.issuer
        async with httpx.AsyncClient(timeout=20, trust_env=False) as company:
            while url.startswith((issuer, "/")):
                answer = await company.get(url if url.startswith(issuer) else issuer + url)
                assert answer.is_redirect, f"{url} answered {answer.status_code}: {answer.text[:300]}"
                url = answer.headers["location"]
        return url

    async def come_back(self, url: str) -> httpx.Response:
        """Open the address that the company's provider sent the browser to."""
        parts = urlsplit(url)
        return await self.api.get(f"{parts.path}?{parts.query}")

    async def sign_in(self) -> dict[str, str]:
        """Do all of it and return the tokens."""
        answer = await self.come_back(await self.prove((await self.leave()).headers["location"]))
        assert answer.status_code == 303, answer.text
        told = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (told["state"], told["iss"]) == (["the state"], [self.settings.auth.issuer])
        form = {"grant_type": "authorization_code", "code": told["code"][0], "redirect_uri": self.callback}
        return (await self.ask(**form, code_verifier=VERIFIER)).raise_for_status().json()

    async def refresh(self, token: str) -> httpx.Response:
        """Exchange a refresh token."""
        return await self.ask(grant_type="refresh_token", refresh_token=token)

    async def ask(self, **form: str) -> httpx.Response:
        """Ask the token endpoint as the portal."""
        return await self.api.post("/auth/token", data={"client_id": self.client_id} | form)
