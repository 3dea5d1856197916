"""Tokens as our own OpenID provider signs them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from configs.auth import AuthSettings
from receipts.access import Principal
from receipts.signed_tokens import TOKEN_TYPE
from serve_apps.keys import key_id
from serve_apps.tokens import ALGORITHM


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs, for how long and for whom."""

    auth: AuthSettings
    key: EllipticCurvePrivateKey

    def access_token(self, principal: Principal, display_name: str, client_id: str = "") -> str:
        """Return an access token (RFC 9068) for the API, given to a client."""
        claims = {
            **self._times(),
            "aud": self.auth.audience,
            "sub": principal.principal_id,
            "role": principal.role.value,
            "scope_id": principal.scope_id,
            "sid": principal.session_id,
            "jti": uuid4().hex,
            "name": display_name,
            "client_id": client_id,
        }
        return self._sign(claims, TOKEN_TYPE)

    def id_token(self, principal: Principal, display_name: str, client_id: str, nonce: str) -> str:
        """Return an ID token (OpenID Connect Core 1.0, section 2) for the client that asked."""
        claims: dict[str, object] = {
            **self._times(),
            "aud": client_id,
            "sub": principal.principal_id,
            "sid": principal.session_id,
            "role": principal.role.value,
            "name": display_name,
        }
        return self._sign(claims | ({"nonce": nonce} if nonce else {}), "JWT")

    def _times(self) -> dict[str, object]:
        now = int(time.time())
        return {"iss": self.auth.issuer, "iat": now, "exp": now + self.auth.access_token_s}

    def _sign(self, claims: dict[str, object], token_type: str) -> str:
        headers = {"typ": token_type, "kid": key_id(self.key.public_key())}
        return jwt.encode(claims, self.key, ALGORITHM, headers)
