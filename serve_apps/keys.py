"""The public keys that tokens are checked with: those of our own signing keys here, or a key set that is published."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from configs.settings import EMBEDDED, Settings, SettingsError
from serve_apps.loopback import is_loopback

log = logging.getLogger(__name__)
DEVELOPMENT_KEY = "keys/development-issuer.pem"  # below state_dir; `receipts up` makes it
_REFRESH_S = 300.0  # how often published keys are fetched, so that a new key is known before it is used
_COOLDOWN_S = 30.0  # between fetches for key ids we do not know: whoever invents ids must not make us fetch
_FIRST_S = 2.0  # between fetches while no key is known at all
_STALE_S = 86_400.0  # how long keys are believed when their issuer cannot be reached
_FETCH_S = 5.0
_LEAST_RSA_BITS = 2_048
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)

# Of whoever publishes keys: away, or not in the form that was agreed on.
_FAILURES = (
    httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError,
    SettingsError,
)  # fmt: skip

Key = EllipticCurvePublicKey | RSAPublicKey
Keys = Mapping[str, Key]


class KeySource(Protocol):
    """Where public keys come from."""

    async def read(self) -> Keys:
        """Return the keys by their key id."""
        ...


class OwnKeys:
    """The public halves of our own signing keys, where this process may read those."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def read(self) -> Keys:
        """Return all of them: one that signs no more, or not yet, is believed like the one that does."""
        return {key_id(key.public_key()): key.public_key() for key in load_signing_keys(self._settings)}


class PublishedKeys:
    """The key set at an address, or where an OpenID provider's discovery document says; of one algorithm only."""

    def __init__(self, issuer: str, algorithm: str, keys_url: str = "") -> None:
        self._issuer = issuer
        self._algorithm = algorithm
        self._keys_url = keys_url
        self.document: Mapping[str, Any] = {}  # the discovery document, once it was read

    async def read(self) -> Keys:
        """Fetch discovery document and key set. Raises ValueError when the issuer calls itself differently."""
        async with httpx.AsyncClient(timeout=_FETCH_S, follow_redirects=False, trust_env=False) as client:
            keys_url = self._keys_url
            if not keys_url:
                place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                document = (await client.get(place)).raise_for_status().json()
                self._check(document)
                self.document, keys_url = document, document["jwks_uri"]
            key_set = (await client.get(keys_url)).raise_for_status().json()
        return {entry["kid"]: key for entry in key_set["keys"] if (key := self._key(entry)) is not None}

    def _check(self, document: Mapping[str, Any]) -> None:
        """Refuse another issuer's document, and addresses that a listener in between could change."""
        if document["issuer"] != self._issuer:
            raise ValueError("the issuer calls itself differently from the settings")
        used = [document[name] for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not is_loopback(self._issuer) and not all(url.startswith("https://") for url in used):
            raise ValueError("an endpoint of the issuer is not at an https:// address")

    def _key(self, entry: Mapping[str, str]) -> Key | None:
        kind = "EC" if self._algorithm == "ES256" else "RSA"
        if entry.get("kty") != kind or entry.get("use", "sig") != "sig" or "kid" not in entry:
            return None
        if entry.get("alg", self._algorithm) != self._algorithm or entry.get("crv", "P-256") != "P-256":
            return None
        key: Key = jwt.PyJWK(dict(entry), algorithm=self._algorithm).key
        return None if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS else key


class KeyRing:
    """The keys a replica knows, kept fresh in the background and never fetched on a request's own path."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: Keys = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._unknown = asyncio.Event()

    @property
    def age_s(self) -> float:
        """Return for how long the keys have not been read; infinite before the first time."""
        return time.monotonic() - self._read_at

    def find(self, kid: object) -> Key | None:
        """Return a key by its id; an unknown id makes the ring look again soon."""
        if not isinstance(kid, str) or time.monotonic() - self._read_at > _STALE_S:
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
        except _FAILURES as error:
            log.warning("the token issuer's keys could not be read: %s", type(error).__name__)
            return
        self._read_at = time.monotonic()

    async def keep_fresh(self) -> None:
        """Refresh for ever: every five minutes, and sooner when an unknown key id is met or no key is known."""
        while True:
            self._unknown.clear()
            try:
                await asyncio.wait_for(self._unknown.wait(), _REFRESH_S if self._keys else _FIRST_S)
                await asyncio.sleep(max(0.0, self._tried_at + _COOLDOWN_S - time.monotonic()))
            except TimeoutError:
                pass
            await self.refresh()


def key_source(settings: Settings) -> KeySource:
    """Return where our own tokens' keys come from: the signing keys where they are known, else what /auth says."""
    auth = settings.auth
    if auth.signing_key is not None or auth.signing_key_file is not None or settings.environment == EMBEDDED:
        return OwnKeys(settings)
    return PublishedKeys(auth.issuer, "ES256", auth.keys_url)


def load_signing_keys(settings: Settings) -> list[EllipticCurvePrivateKey]:
    """Return our signing keys; the first one signs. Raises SettingsError when there is none, or one is no P-256 key."""
    auth = settings.auth
    path = auth.signing_key_file or settings.state_dir / DEVELOPMENT_KEY
    if auth.signing_key is not None:
        return _keys_of(auth.signing_key.get_secret_value(), "RECEIPTS_AUTH__SIGNING_KEY")
    if auth.signing_key_file is None and settings.environment != EMBEDDED:
        raise SettingsError("Neither RECEIPTS_AUTH__SIGNING_KEY nor RECEIPTS_AUTH__SIGNING_KEY_FILE is set.")
    try:
        return _keys_of(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path} holds no readable signing key; `receipts up` makes one.") from None


def load_private_key(path: Path) -> EllipticCurvePrivateKey:
    """Read the first signing key of a file."""
    return _keys_of(path.read_text(), str(path))[0]


def _keys_of(pem: str, place: str) -> list[EllipticCurvePrivateKey]:
    keys: list[EllipticCurvePrivateKey] = []
    for block in _PEM.findall(pem):
        try:
            key = load_pem_private_key(block.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SettingsError(f"{place} holds a private key that cannot be read.") from None
        if not (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)):
            raise SettingsError(f"{place} must hold EC P-256 private keys only.")
        keys.append(key)
    if not keys:
        raise SettingsError(f"{place} holds no readable signing key; expected EC P-256 private keys as PEM.")
    return keys


def public_jwk(key: EllipticCurvePublicKey) -> dict[str, str]:
    """Return the key as a JSON Web Key, named by its thumbprint."""
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    return {**jwk, "use": "sig", "alg": "ES256", "kid": key_id(key)}


def key_id(key: EllipticCurvePublicKey) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    required = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(required.encode()).digest()).rstrip(b"=").decode()
