"""The public keys that access tokens are checked with: the issuer's key set, or the development provider's file."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from configs.settings import Settings, SettingsError

log = logging.getLogger(__name__)
DEVELOPMENT_KEY = "keys/development-issuer.pem"  # below state_dir; `receipts up` makes it
_REFRESH_S = 300.0  # how often the issuer's keys are fetched, so that a new key is known before it is used
_COOLDOWN_S = 30.0  # between fetches for key ids we do not know: whoever invents ids must not make us fetch
_STALE_S = 86_400.0  # how long keys are believed when their issuer cannot be reached
_FETCH_S = 5.0

Keys = Mapping[str, EllipticCurvePublicKey]


class KeySource(Protocol):
    """Where public keys come from."""

    async def read(self) -> Keys:
        """Return the keys by their key id."""
        ...


class DevelopmentKey:
    """The key of the built-in development provider, read from its file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Keys:
        """Return the one key."""
        public = load_private_key(self._path).public_key()
        return {key_id(public): public}


class IssuerKeys:
    """The key set that an OpenID provider publishes; only ES256 keys are taken."""

    def __init__(self, issuer: str) -> None:
        self._discovery = f"{issuer.rstrip('/')}/.well-known/openid-configuration"

    async def read(self) -> Keys:
        """Fetch the key set that the provider's discovery document names."""
        async with httpx.AsyncClient(timeout=_FETCH_S, follow_redirects=False) as client:
            discovery = (await client.get(self._discovery)).raise_for_status().json()
            key_set = (await client.get(discovery["jwks_uri"])).raise_for_status().json()
        keys: dict[str, EllipticCurvePublicKey] = {}
        for entry in key_set["keys"]:
            if entry.get("kty") == "EC" and entry.get("crv") == "P-256" and entry.get("use", "sig") == "sig":
                key = jwt.PyJWK(entry, algorithm="ES256").key
                keys[entry["kid"]] = key
        return keys


class KeyRing:
    """The keys a replica knows, kept fresh in the background and never fetched on a request's own path."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: Keys = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._unknown = asyncio.Event()

    def find(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return a key by its id; an unknown id makes the ring look again soon."""
        if time.monotonic() - self._read_at > _STALE_S:
            return None
        key = self._keys.get(kid)
        if key is None:
            self._unknown.set()
        return key

    async def refresh(self) -> None:
        """Read the source once; a source that fails leaves the keys as they were."""
        self._tried_at = time.monotonic()
        try:
            self._keys = await self._source.read()
        except (httpx.HTTPError, OSError, ValueError, KeyError, jwt.PyJWTError, SettingsError) as error:
            log.warning("the token issuer's keys could not be read: %s", type(error).__name__)
            return
        self._read_at = time.monotonic()

    async def keep_fresh(self) -> None:
        """Refresh for ever: every five minutes, and sooner when an unknown key id is met."""
        while True:
            self._unknown.clear()
            try:
                await asyncio.wait_for(self._unknown.wait(), _REFRESH_S)
                await asyncio.sleep(max(0.0, self._tried_at + _COOLDOWN_S - time.monotonic()))
            except TimeoutError:
                pass
            await self.refresh()


def key_source(settings: Settings) -> KeySource:
    """Return where this environment's keys come from."""
    if settings.auth.development_provider:
        return DevelopmentKey(settings.state_dir / DEVELOPMENT_KEY)
    return IssuerKeys(settings.auth.issuer)


def load_private_key(path: Path) -> EllipticCurvePrivateKey:
    """Read the development provider's signing key. Raises SettingsError when it is absent or no P-256 key."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError(f"{path} holds no readable signing key; `receipts up` makes one.") from None
    if not (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)):
        raise SettingsError(f"{path} must hold an EC P-256 private key.")
    return key


def public_jwk(key: EllipticCurvePublicKey) -> dict[str, str]:
    """Return the key as a JSON Web Key, named by its thumbprint."""
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    return {**jwk, "use": "sig", "alg": "ES256", "kid": key_id(key)}


def key_id(key: EllipticCurvePublicKey) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    required = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(required.encode()).digest()).rstrip(b"=").decode()
