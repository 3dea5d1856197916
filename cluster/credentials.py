"""The secrets of an embedded platform: made once, kept in its state directory, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from configs.settings import Settings
from data_jobs.trail.keys import private_pem, public_pem, signing_keys
from ingest.tokens import TOKEN_KEY
from receipts.database import DatabaseRole

SUPERUSER = "postgres"
DEVELOPMENT_CLIENT = "development_client_secret"
REPLICATION = "receipts_replication"  # the login of standbys: embedded server only
RAY_TOKEN = "ray_token"  # noqa: S105  # the name of a key in secrets.json, not a secret
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600


def credentials_file(settings: Settings) -> Path:
    """Return where the secrets are kept: `state_dir/secrets.json`."""
    return settings.state_dir.resolve() / "secrets.json"


def ensure_credentials(settings: Settings) -> dict[str, str]:
    """Return all secrets, making those that are missing; what exists is never changed."""
    path = credentials_file(settings)
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    names = (SUPERUSER, REPLICATION, *(role.value for role in DatabaseRole), DEVELOPMENT_CLIENT, RAY_TOKEN, TOKEN_KEY)
    missing = {name: secrets.token_hex(32) for name in names if name not in known}
    if missing:
        known |= missing
        write_private(path, json.dumps(known, indent=1).encode())
    return known


def ensure_development_issuer_key(settings: Settings) -> Path:
    """Return the development issuer's P-256 private key file (PEM), making it if it is missing."""
    path = settings.state_dir.resolve() / "keys" / "development-issuer.pem"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_DIRECTORY)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    return path


def ensure_anchor_key(settings: Settings) -> None:
    """Make the first key that signs the audit trail's anchors, where there is none here nor in the settings."""
    if not signing_keys(settings):
        add_anchor_key(settings)


def add_anchor_key(settings: Settings) -> Path:
    """Make another key for anchors, which the one before hands over to; returns the file of its public half."""
    folder = settings.state_dir.resolve() / "keys"
    numbers = [int(path.stem.rsplit("-", 1)[1]) for path in folder.glob("audit-anchor-*.p*")]
    path = folder / f"audit-anchor-{max(numbers, default=0) + 1:04d}.pem"
    folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_DIRECTORY)
    key = Ed25519PrivateKey.generate()
    public = path.with_suffix(".pub")
    write_private(public, public_pem(key.public_key()).encode())  # first: nothing is signed that nobody can verify
    write_private(path, private_pem(key))
    return public


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, also when the writer is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
