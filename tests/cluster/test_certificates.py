"""The gateway's certificates: made once, renewed in time, and only for the names they are asked for."""

from pathlib import Path

import pytest
from cryptography import x509

from cluster.certificates import ensure_certificates

HOSTS = ["localhost", "127.0.0.1"]


def test_a_good_certificate_stays(tmp_path: Path):
    first = ensure_certificates(tmp_path, HOSTS, 30)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = ensure_certificates(tmp_path, HOSTS, 30)
    assert (first.made, again.made) == (True, False)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept


@pytest.mark.parametrize(("days", "hosts"), [(0, HOSTS), (30, ["localhost"]), (30, ["other.example", "127.0.0.1"])])
def test_one_that_ends_soon_or_names_other_hosts_is_made_anew_by_the_same_authority(
    tmp_path: Path, days: int, hosts: list[str]
):
    old = ensure_certificates(tmp_path, hosts, days)
    authority, key = old.authority.read_bytes(), old.key.read_bytes()
    renewed = ensure_certificates(tmp_path, HOSTS, 30)
    assert renewed.made
    assert renewed.authority.read_bytes() == authority
    assert renewed.key.read_bytes() != key
    issuer = x509.load_pem_x509_certificate(authority)
    x509.load_pem_x509_certificate(renewed.certificate.read_bytes()).verify_directly_issued_by(issuer)
    assert not ensure_certificates(tmp_path, HOSTS, 30).made


def test_keys_are_for_their_owner_only(tmp_path: Path):
    made = ensure_certificates(tmp_path, HOSTS, 30)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (made.key, tmp_path / "ca.key")} == {
        "gateway.key": "0o600",
        "ca.key": "0o600",
    }
