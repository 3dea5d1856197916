"""The tills' access tokens: signed by the gateway with its own key, and believed by every gateway that has that key."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import jwt

from configs.settings import PREFIX, Settings, SettingsError
from ingest.access import Claims
from receipts.errors import Unauthenticated
from receipts.signed_tokens import INVALID, TOKEN_TYPE, TokenRules, verified_claims

TOKEN_KEY = "ingest_token_key"  # noqa: S105 - the name of the key in secrets.json, not a secret
AUDIENCE = "receipts-ingest"
_ISSUER = "receipts-gateway"
_ALGORITHM = "HS256"  # who verifies is who signs: there is nobody to publish a key to
_RULES = TokenRules(
    _ALGORITHM,
    frozenset({"alg", "typ"}),
    _ISSUER,
    AUDIENCE,
    ("iss", "aud", "sub", "stores", "all", "iat", "nbf", "exp"),
)
_KEY_BYTES = 32


class Tokens:
    """Signs and verifies tokens. `key` has 32 bytes or more; `lifetime_s` is at most an hour."""

    def __init__(self, key: bytes, lifetime_s: int) -> None:
        self._key = key
        self.lifetime_s = lifetime_s

    def mint(self, client_id: str, store_ids: frozenset[int], *, all_stores: bool) -> str:
        """Return a token that lets a client write the records of these stores, or of every store."""
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": AUDIENCE,
            "sub": client_id,
            "stores": sorted(store_ids),
            "all": all_stores,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_s,
        }
        return jwt.encode(claims, self._key, _ALGORITHM, {"typ": TOKEN_TYPE})

    def verify(self, token: str) -> Claims:
        """Return what a token allows. Raises Unauthenticated, saying no more than whether it has expired."""
        return _claims(verified_claims(token, _RULES, lambda _header: self._key))


def load_tokens(settings: Settings) -> Tokens:
    """Return the tokens of this platform. Raises SettingsError when their key is not known or too short."""
    given = settings.ingest.token_key
    stored = settings.state_dir / "secrets.json"
    key = ""
    if given is not None:
        key = given.get_secret_value()
    elif stored.is_file():
        key = json.loads(stored.read_text()).get(TOKEN_KEY, "")
    if len(key) < _KEY_BYTES:
        raise SettingsError(
            f"{PREFIX}INGEST__TOKEN_KEY is not set or shorter than {_KEY_BYTES} characters; it signs the tills' "
            "tokens and is the same for all gateways. For the embedded platform run `receipts up` first."
        )
    return Tokens(key.encode(), settings.ingest.token_s)


def _claims(claims: dict[str, Any]) -> Claims:
    """Read the claims; every one has one exact type, and a token is for some stores or for all, never for both."""
    client_id, stores, all_stores = claims["sub"], claims["stores"], claims["all"]
    if not isinstance(client_id, str) or type(all_stores) is not bool or not isinstance(stores, list):
        raise Unauthenticated(INVALID)
    if any(type(store_id) is not int for store_id in stores) or all_stores == bool(stores):
        raise Unauthenticated(INVALID)
    return Claims(client_id, frozenset(stores), all_stores, datetime.fromtimestamp(claims["exp"], UTC))
