"""A certificate authority of one's own and the gateway's certificate, for tills that trust that authority."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.credentials import write_private

_AUTHORITY_DAYS = 3_650
_RENEW_LEFT = 1 / 3  # of its life: then a certificate is made anew
_SKEW = timedelta(minutes=5)  # tills' clocks may be behind
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files, and whether the gateway's certificate was `made` now."""

    authority: Path
    certificate: Path
    key: Path
    made: bool
    expires_at: datetime


def ensure_certificates(folder: Path, hosts: list[str], days: int) -> Certificates:
    """Return the gateway's certificate for `hosts` (names and addresses), making what is missing.

    A certificate that is good for these hosts stays until a third of its life is left; the authority stays for ten
    years. Keys are readable by their owner only.
    """
    authority, certificate, key = (folder / name for name in ("ca.crt", "gateway.crt", "gateway.key"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    issuer, issuer_key = _ensure_authority(authority, folder / "ca.key")
    made = not (certificate.is_file() and key.is_file()) or not _is_good(certificate, issuer, hosts)
    if made:
        own = ec.generate_private_key(ec.SECP256R1())
        signed = _server_certificate(own, issuer, issuer_key, hosts, days)
        write_private(key, _pem(own))
        _write_public(certificate, signed)
    expires_at = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return Certificates(authority, certificate, key, made, expires_at)


def _ensure_authority(path: Path, key_path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if path.is_file() and key_path.is_file():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), f"{key_path} is no key that we made"
        return x509.load_pem_x509_certificate(path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Receipts gateway authority")])
    unsigned = (
        _begin(name, name, key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = unsigned.sign(key, hashes.SHA256())
    write_private(key_path, _pem(key))
    _write_public(path, certificate)
    return certificate, key


def _server_certificate(
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    hosts: list[str],
    days: int,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    unsigned = (
        _begin(name, issuer.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return unsigned.sign(issuer_key, hashes.SHA256())


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_good(path: Path, issuer: x509.Certificate, hosts: list[str]) -> bool:
    """Say whether a certificate is of this authority, names exactly these hosts and has a third of its life left."""
    found = x509.load_pem_x509_certificate(path.read_bytes())
    life = found.not_valid_after_utc - found.not_valid_before_utc
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    of_ours = found.issuer == issuer.subject and set(named) == {_general_name(host) for host in hosts}
    return of_ours and found.not_valid_after_utc - datetime.now(UTC) > life * _RENEW_LEFT


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _write_public(path: Path, certificate: x509.Certificate) -> None:
    write_private(path, certificate.public_bytes(serialization.Encoding.PEM))
    path.chmod(_READABLE)
