"""The company's identity provider, where people prove who they are: its code flow, and whose ID tokens are believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from configs.auth import AuthSettings, UpstreamSettings
from receipts.errors import Unauthenticated, Unavailable
from receipts.signed_tokens import TokenRules, verified_claims
from serve_apps.keys import KeyRing, PublishedKeys

_REDEEM_S = 10.0  # a person waits for it; beyond that the provider is taken for down
_FRESH_S = 900  # an ID token of a code flow was made just now; Entra ID dates its own back by five minutes
_LIFETIME_S = 86_400  # Entra ID's may last that long
_LONGEST_NAME = 200
_REQUIRED = ("iss", "aud", "sub", "exp", "iat", "nonce")
AWAY = "The company's sign-in cannot be reached at the moment; try again shortly. Whoever is signed in can go on."
UNCONFIRMED = "The company's sign-in did not confirm who you are. Please try again."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has proved to be there: a subject that its issuer never gives to anyone else, a name, and the groups."""

    issuer: str
    subject: str
    display_name: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Proofs:
    """What ties an answer to the browser that asked, all made from the one secret that only that browser keeps."""

    secret: str

    @property
    def nonce(self) -> str:
        """Return the nonce that the ID token must carry."""
        return self._made_for(b"nonce")

    @property
    def verifier(self) -> str:
        """Return the PKCE verifier (RFC 7636)."""
        return self._made_for(b"verifier")

    @property
    def challenge(self) -> str:
        """Return the S256 challenge of the verifier."""
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def _made_for(self, purpose: bytes) -> str:
        return _base64url(hmac.digest(self.secret.encode("utf-8", "surrogatepass"), purpose, hashlib.sha256))


class Upstream:
    """A client of the company's provider. Its keys and addresses are fetched in the background."""

    def __init__(self, auth: AuthSettings) -> None:
        self.settings: UpstreamSettings = auth.upstream
        self.callback = f"{auth.issuer.rstrip('/')}/callback"
        self._published = PublishedKeys(self.settings.issuer, self.settings.algorithm)
        self.keys = KeyRing(self._published)
        self.client = httpx.AsyncClient(timeout=_REDEEM_S, follow_redirects=False, trust_env=False)
        self._rules = TokenRules(
            self.settings.algorithm,
            frozenset({"alg", "kid"}),
            self.settings.issuer,
            self.settings.client_id,
            _REQUIRED,
            also=frozenset({"typ", "x5t"}),
            type=None,
            lifetime_s=_LIFETIME_S,
        )

    def authorization_url(self, state: str, proofs: Proofs) -> str:
        """Return the address to send a browser to. Raises Unavailable while the provider was never reached."""
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.callback,
            "scope": self.settings.scope,
            "state": state,
            "nonce": proofs.nonce,
            "code_challenge": proofs.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def check_issuer(self, told: str | None) -> None:
        """Raise Unauthenticated when an answer names another issuer, or none although it always does (RFC 9207)."""
        always = self._published.document.get("authorization_response_iss_parameter_supported") is True
        if told != self.settings.issuer and (told is not None or always):
            raise Unauthenticated(UNCONFIRMED)

    async def redeem(self, code: str, proofs: Proofs) -> Identity:
        """Exchange a code for an ID token and return whom it names. Raises Unauthenticated or Unavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": proofs.verifier,
        }
        secret = self.settings.client_secret
        if secret is None:  # a public client
            form["client_id"] = self.settings.client_id
        # RFC 6749, section 2.3.1: both are form-encoded before they are put into the header.
        given = secret.get_secret_value() if secret else ""
        auth = (quote(self.settings.client_id, ""), quote(given, "")) if given else httpx.USE_CLIENT_DEFAULT
        try:
            answer = await self.client.post(self._endpoint("token_endpoint"), data=form, auth=auth)
            told = answer.json() if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR else None
        except httpx.HTTPError:
            raise Unavailable(AWAY) from None
        except ValueError:
            raise Unauthenticated(UNCONFIRMED) from None
        if told is None:
            raise Unavailable(AWAY)
        if not (answer.is_success and isinstance(told, dict) and isinstance(told.get("id_token"), str)):
            raise Unauthenticated(UNCONFIRMED)
        return self.identify(told["id_token"], proofs)

    def identify(self, id_token: str, proofs: Proofs) -> Identity:
        """Return whom an ID token names (OpenID Connect Core 1.0, section 3.1.3.7). Raises Unauthenticated."""
        try:
            claims = verified_claims(id_token, self._rules, lambda header: self.keys.find(header["kid"]))
        except Unauthenticated:
            raise Unauthenticated(UNCONFIRMED) from None
        nonce, subject = claims["nonce"], claims.get(self.settings.subject_claim)
        right = (
            isinstance(nonce, str)
            and hmac.compare_digest(nonce.encode("utf-8", "surrogatepass"), proofs.nonce.encode())
            and claims.get("azp", self.settings.client_id) == self.settings.client_id
            and (not self.settings.tenant or claims.get("tid") == self.settings.tenant)
            and claims["iat"] > time.time() - _FRESH_S
            and isinstance(subject, str)
            and 0 < len(subject) <= 255  # OpenID Connect Core 1.0, section 2
            and subject.isascii()
            and subject.isprintable()
        )
        if not right or not isinstance(subject, str):
            raise Unauthenticated(UNCONFIRMED)
        return Identity(self.settings.issuer, subject, _name(claims, subject), self._groups(claims))

    def _groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        told = claims.get(self.settings.groups_claim, [])
        return frozenset(one for one in (told if isinstance(told, list) else [told]) if isinstance(one, str))

    def _endpoint(self, name: str) -> str:
        endpoint = self._published.document.get(name)
        if not isinstance(endpoint, str):
            raise Unavailable(AWAY)
        return endpoint


def _name(claims: Mapping[str, Any], subject: str) -> str:
    name = claims.get("name")
    printable = "".join(c for c in name if c.isprintable())[:_LONGEST_NAME].strip() if isinstance(name, str) else ""
    return printable or subject[:_LONGEST_NAME]


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
