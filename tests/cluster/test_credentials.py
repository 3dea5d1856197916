"""Secrets are made once, stay as they are and are readable by their owner only."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cluster.credentials import credentials_file, ensure_credentials, ensure_development_issuer_key
from configs.settings import Settings
from receipts.database import DatabaseRole


def test_every_role_gets_a_secret_of_its_own_that_never_changes(tmp_path):
    settings = Settings(state_dir=tmp_path)
    made = ensure_credentials(settings)
    assert {role.value for role in DatabaseRole} <= made.keys()
    assert len(set(made.values())) == len(made)
    assert ensure_credentials(settings) == made


def test_a_secret_that_is_missing_is_added_and_the_others_stay(tmp_path):
    settings = Settings(state_dir=tmp_path)
    credentials_file(settings).write_text(json.dumps({"postgres": "kept"}))
    made = ensure_credentials(settings)
    assert made["postgres"] == "kept"
    assert made["receipts_api"]


def test_only_the_owner_may_read_them(tmp_path):
    settings = Settings(state_dir=tmp_path)
    ensure_credentials(settings)
    key = ensure_development_issuer_key(settings)
    assert credentials_file(settings).stat().st_mode & 0o777 == 0o600
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_the_issuers_key_is_a_p256_key_that_stays(tmp_path):
    settings = Settings(state_dir=tmp_path)
    pem = ensure_development_issuer_key(settings).read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert ensure_development_issuer_key(settings).read_bytes() == pem
