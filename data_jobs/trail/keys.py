"""The keys that sign anchors: the newest one signs, the one before hands over to it, public halves are trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from configs.settings import Settings, SettingsError
from receipts.errors import InvalidInput

FOLDER = "keys"
PRIVATE, PUBLIC = "audit-anchor-*.pem", "audit-anchor-*.pub"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id of its public half."""

    key_id: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> Ed25519PublicKey:
        """Return the half that verifies."""
        return self.private.public_key()


def key_id_of(key: Ed25519PublicKey) -> str:
    """Return the name of a key: the beginning of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signing_keys(settings: Settings) -> list[SigningKey]:
    """Return the private keys that are here, the one that signs last; none where there is none.

    Raises SettingsError for a key that cannot be read.
    """
    given = [each for each in (settings.audit.anchor_key_before, settings.audit.anchor_key) if each is not None]
    if given:
        return [_private(each.get_secret_value().encode(), "RECEIPTS_AUDIT__ANCHOR_KEY") for each in given]
    found = sorted((settings.state_dir / FOLDER).glob(PRIVATE))
    return [_private(path.read_bytes(), str(path)) for path in found]


def trusted_keys(settings: Settings, files: Iterable[Path] = ()) -> dict[str, Ed25519PublicKey]:
    """Return the public keys to trust, by id: of the files if any are named, else all that this platform knows.

    Raises InvalidInput for a file that holds none.
    """
    named = list(files)
    keys = [read_public(path) for path in named or sorted((settings.state_dir / FOLDER).glob(PUBLIC))]
    if not named:
        keys += [key.public for key in signing_keys(settings)]
    return {key_id_of(key): key for key in keys}


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key from a PEM file. Raises InvalidInput."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("--key", f"{path} holds no Ed25519 public key in PEM form")
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as a PEM text."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as a PEM text, which no password protects."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def handed_over(told: Mapping[str, str]) -> Ed25519PublicKey:
    """Return the key that an anchor hands over to."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["public_key"]))


def _private(pem: bytes, where: str) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{where} holds no Ed25519 private key in PEM form.")
    return SigningKey(key_id_of(key.public_key()), key)
