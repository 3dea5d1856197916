"""Which access tokens are believed."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from configs.auth import AuthSettings
from receipts.access import Principal, Role
from receipts.errors import Unauthenticated
from serve_apps.issuing import Issuer
from serve_apps.keys import KeyRing, key_id, public_jwk
from serve_apps.revocations import Revocations
from serve_apps.tokens import TokenVerifier

AUTH = AuthSettings(issuer="http://127.0.0.1:8000/auth", audience="receipts-api", development_provider=True)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
SCOPE = "4f3c1c1e-6f43-4c0a-9d42-0d6e6b1f6a11"
PRINCIPAL = Principal("rep.east", Role.CS_REP, SCOPE, "session-1")
ISSUER = Issuer(AUTH, KEY)


class OneKey:
    """A source of the test's own key."""

    async def read(self):
        return {key_id(KEY.public_key()): KEY.public_key()}


@pytest.fixture
async def verifier() -> TokenVerifier:
    ring = KeyRing(OneKey())
    await ring.refresh()
    return TokenVerifier(AUTH, ring, nobody_signed_out())


def nobody_signed_out() -> Revocations:
    """Return a list of ended sessions as it is after an answer that lasts: empty."""
    known = Revocations(AUTH)
    known.good_until = float("inf")
    return known


def b64(data: bytes | dict) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes) -> dict:
    now = int(time.time())
    made = {
        "iss": AUTH.issuer, "aud": AUTH.audience, "sub": "rep.east", "role": "cs_rep", "scope_id": SCOPE,
        "sid": "session-1", "jti": "a", "iat": now, "exp": now + 600, "name": "Rep East",
    }  # fmt: skip
    return {key: value for key, value in (made | changes).items() if value is not None}


def header(**changes) -> dict:
    made = {"alg": "ES256", "typ": "at+jwt", "kid": key_id(KEY.public_key())}
    return {key: value for key, value in (made | changes).items() if value is not None}


def signed(head: dict, body: dict, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """Sign any header and body by ES256, also those that no library would write."""
    text = f"{b64(head)}.{b64(body)}"
    return f"{text}.{b64(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(text.encode(), key))}"


def attacks() -> dict[str, str]:
    now = int(time.time())
    good = signed(header(), claims())
    head, body, signature = good.split(".")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused = f"{b64(header(alg='HS256'))}.{b64(claims())}"
    own_jwk = public_jwk(OTHER.public_key())
    flipped = ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))
    return {
        "empty": "",
        "not a token": "abc",
        "two parts": f"{head}.{body}",
        "no signature": f"{head}.{body}.",
        "four parts": f"{good}.{signature}",
        "alg none": f"{b64(header(alg='none'))}.{body}.",
        "alg None with signature": f"{b64(header(alg='None'))}.{body}.{signature}",
        "alg nOnE": f"{b64(header(alg='nOnE'))}.{body}.",
        "HS256 with the public key": f"{confused}.{b64(hmac.digest(public_pem, confused.encode(), hashlib.sha256))}",
        "RS256": jwt.encode(claims(), rsa_key, "RS256", header(alg=None)),
        "ES256 of another key": signed(header(), claims(), OTHER),
        "another key named by its own kid": signed(header(kid=key_id(OTHER.public_key())), claims(), OTHER),
        "embedded jwk": signed(header(jwk=own_jwk), claims(), OTHER),
        "embedded jwk, own signature": signed(header(jwk=public_jwk(KEY.public_key())), claims()),
        "jku": signed(header(jku="http://127.0.0.1:1/jwks"), claims()),
        "x5u": signed(header(x5u="http://127.0.0.1:1/cert"), claims()),
        "x5c": signed(header(x5c=["AAAA"]), claims()),
        "crit": signed(header(crit=["b64"], b64=False), claims()),
        "no kid": signed(header(kid=None), claims()),
        "kid is a number": signed(header(kid=1), claims()),
        "kid walks a path": signed(header(kid="../../keys"), claims()),
        "ID token": ISSUER.id_token(PRINCIPAL, "Rep East", AUTH.audience, "n"),
        "typ JWT": signed(header(typ="JWT"), claims()),
        "no typ": signed(header(typ=None), claims()),
        "zero signature": f"{head}.{body}.{b64(bytes(64))}",
        "signature bit flipped": f"{head}.{body}.{flipped}",
        "DER signature": f"{head}.{body}.{b64(KEY.sign(f'{head}.{body}'.encode(), ec.ECDSA(hashes())))}",
        "role raised in the body": f"{head}.{b64(claims(role='admin'))}.{signature}",
        "padded parts": f"{head}=.{body}==.{signature}",
        "other spelling of the signature": f"{head}.{body}.{signature[:-1]}{_other_spelling(signature[-1])}",
        "wrong issuer": signed(header(), claims(iss="http://127.0.0.1:8000/auth/")),
        "wrong audience": signed(header(), claims(aud="receipts-portal")),
        "list of audiences": signed(header(), claims(aud=[AUTH.audience, "other"])),
        "expired": signed(header(), claims(iat=now - 700, exp=now - 100)),
        "not yet valid": signed(header(), claims(nbf=now + 300)),
        "issued in the future": signed(header(), claims(iat=now + 300, exp=now + 600)),
        "exp is a string": signed(header(), claims(exp=str(now + 600))),
        "exp is a fraction": signed(header(), claims(exp=now + 600.5)),
        "exp is true": signed(header(), claims(exp=True)),
        "no exp": signed(header(), claims(exp=None)),
        "no iat": signed(header(), claims(iat=None)),
        "30 days": signed(header(), claims(exp=now + 30 * 86_400)),
        "one hour and a second": signed(header(), claims(exp=now + 3_601)),
        "exp before iat": signed(header(), claims(iat=now + 20, exp=now + 10)),
        "64 KB": signed(header(), claims(padding="x" * 65_536)),
        "unknown role": signed(header(), claims(role="root")),
        "no role": signed(header(), claims(role=None)),
        "role is a list": signed(header(), claims(role=["admin"])),
        "scope is no handle": signed(header(), claims(scope_id="1,2,3")),
        "no scope": signed(header(), claims(scope_id=None)),
        "subject is a number": signed(header(), claims(sub=1)),
        "subject with a line break": signed(header(), claims(sub="rep\neast")),
        "body is a list": f"{head}.{b64(b'[]')}.{signature}",
    }  # fmt: skip


def hashes():
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _other_spelling(last: str) -> str:
    """Return a base64url character that decodes to the same byte: its four low bits are spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(last) ^ 1]


def test_a_token_of_the_issuer_is_believed(verifier):
    assert verifier.verify(ISSUER.access_token(PRINCIPAL, "Rep East")) == PRINCIPAL
    assert verifier.verify(signed(header(), claims())) == PRINCIPAL


@pytest.mark.parametrize("name", list(attacks()))
def test_an_attack_token_is_refused_twice(verifier, name):
    """The second time shows that no refusal is remembered as a success."""
    token = attacks()[name]
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


async def test_a_remembered_token_is_refused_once_it_has_expired():
    ring = KeyRing(OneKey())
    await ring.refresh()
    now = [time.time()]
    verifier = TokenVerifier(AUTH, ring, nobody_signed_out(), clock=lambda: now[0])
    token = signed(header(), claims())
    assert verifier.verify(token) == verifier.verify(token) == PRINCIPAL
    now[0] += 600 + 31
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


async def test_a_key_that_its_issuer_withdrew_is_not_believed():
    keys = {key_id(KEY.public_key()): KEY.public_key()}

    class Changing:
        async def read(self):
            return dict(keys)

    ring = KeyRing(Changing())
    await ring.refresh()
    keys.clear()
    await ring.refresh()
    with pytest.raises(Unauthenticated):
        TokenVerifier(AUTH, ring, nobody_signed_out()).verify(signed(header(), claims()))


async def test_keys_outlive_an_issuer_that_cannot_be_reached():
    class Failing(OneKey):
        failing = False

        async def read(self):
            if self.failing:
                raise OSError
            return await super().read()

    source = Failing()
    ring = KeyRing(source)
    await ring.refresh()
    source.failing = True
    await ring.refresh()
    assert TokenVerifier(AUTH, ring, nobody_signed_out()).verify(signed(header(), claims())) == PRINCIPAL
