"""Which access tokens are believed."""

import base64
import hashlib
import hmac
import json
import secrets
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
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (SEC 2)
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


def signed_raw(head: str, body: str) -> str:
    """Sign parts as they stand."""
    text = f"{head}.{body}"
    return f"{text}.{b64(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(text.encode(), KEY))}"


def attacks() -> dict[str, str]:
    now = int(time.time())
    good = signed(header(), claims())
    head, body, signature = good.split(".")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    confused, kid = f"{b64(header(alg='HS256'))}.{b64(claims())}", key_id(KEY.public_key())
    own_jwk = public_jwk(OTHER.public_key())
    raw = base64.urlsafe_b64decode(signature + "==")
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
        "one hour and a second": signed(header(), claims(iat=now, exp=now + 3_601)),
        "exp before iat": signed(header(), claims(iat=now + 20, exp=now + 10)),
        "64 KB": signed(header(), claims(padding="x" * 65_536)),
        "unknown role": signed(header(), claims(role="root")),
        "no role": signed(header(), claims(role=None)),
        "role is a list": signed(header(), claims(role=["admin"])),
        "scope is no handle": signed(header(), claims(scope_id="1,2,3")),
        "no scope": signed(header(), claims(scope_id=None)),
        "subject is a number": signed(header(), claims(sub=1)),
        "subject with a line break": signed(header(), claims(sub="rep\neast")),
        "body is a list": signed_raw(b64(header()), b64(b"[]")),
        "body of nested lists": signed_raw(b64(header()), b64(b"[" * 3_000 + b"]" * 3_000)),
        "body is no JSON": signed_raw(b64(header()), b64(b"{")),
        "body is no UTF-8": signed_raw(b64(header()), b64(b'{"sub": "\xff"}')),
        "header is a list": signed_raw(b64(b"[]"), b64(claims())),
        "a claim twice": signed_raw(b64(header()), b64(json.dumps(claims()).encode()[:-1] + b', "role": "admin"}')),
        "a header field twice": signed_raw(
            b64(json.dumps(header()).encode()[:-1] + b', "alg": "none"}'), b64(claims())
        ),
        "a claim twice by an escape": signed_raw(
            b64(header()), b64(json.dumps(claims()).encode()[:-1] + b', "r\\u006fle": "admin"}')
        ),
        "alg es256": signed(header(alg="es256"), claims()),
        "alg is a list": signed(header(alg=["ES256", "none"]), claims()),
        "ES384": signed(header(alg="ES384"), claims()),
        "PS256": jwt.encode(claims(), rsa_key, "PS256", header(alg=None)),
        "RS512": jwt.encode(claims(), rsa_key, "RS512", header(alg=None)),
        "HS256 with an empty key": f"{confused}.{b64(hmac.digest(b'', confused.encode(), hashlib.sha256))}",
        "HS256 with the key id": f"{confused}.{b64(hmac.digest(kid.encode(), confused.encode(), hashlib.sha256))}",
        "b64 false": signed(header(b64=False), claims()),
        "zip": signed(header(zip="DEF"), claims()),
        "cty JWT": signed(header(cty="JWT"), claims()),
        "kid is a query": signed(header(kid="' OR 1=1 --"), claims()),
        "kid is an address": signed(header(kid="http://127.0.0.1:1/key"), claims()),
        "kid with a NUL": signed(header(kid=f"{kid}\x00"), claims()),
        "typ in capitals": signed(header(typ="AT+JWT"), claims()),
        "typ of a refresh token": signed(header(typ="rt+jwt"), claims()),
        "a refresh token": secrets.token_urlsafe(32),
        "r and s exchanged": f"{head}.{body}.{b64(raw[32:] + raw[:32])}",
        "r is zero": f"{head}.{body}.{b64(bytes(32) + raw[32:])}",
        "s is zero": f"{head}.{body}.{b64(raw[:32] + bytes(32))}",
        "r and s are the order": f"{head}.{body}.{b64(ORDER.to_bytes(32, 'big') * 2)}",
        "signature too short": f"{head}.{body}.{b64(raw[:-1])}",
        "signature too long": f"{head}.{body}.{b64(raw + bytes(1))}",
        "signature with a leading zero byte": f"{head}.{body}.{b64(bytes(1) + raw[:32] + raw[32:])}",
        "signature of another token": f"{head}.{b64(claims(jti='b'))}.{signature}",
        "five parts of a JWE": f"{b64(header(alg='dir', enc='A256GCM'))}..{b64(bytes(12))}.{body}.{b64(bytes(16))}",
        "JSON serialisation": json.dumps({"protected": head, "payload": body, "signature": signature}),
        "a space before": f" {good}",
        "a line break after": f"{good}\n",
        "a space within": f"{head}. {body}.{signature}",
        "a NUL after": f"{good}\x00",
        "base64 instead of base64url": f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}+",
        "letters of another script": good.replace("a", "\u0430"),
        "full-width dots": good.replace(".", "\uff0e"),
        "a lone surrogate": f"{good}\ud800",
        "issuer in capitals": signed(header(), claims(iss=AUTH.issuer.upper())),
        "issuer with look-alike letters": signed(header(), claims(iss=AUTH.issuer.replace("a", "\u0430"))),
        "no issuer": signed(header(), claims(iss=None)),
        "list of issuers": signed(header(), claims(iss=[AUTH.issuer])),
        "no audience": signed(header(), claims(aud=None)),
        "audience is one in a list": signed(header(), claims(aud=[AUTH.audience])),
        "audience as a prefix": signed(header(), claims(aud=AUTH.audience + ".evil")),
        "nbf is a string": signed(header(), claims(nbf=str(now))),
        "iat is a string": signed(header(), claims(iat=str(now))),
        "iat is true": signed(header(), claims(iat=True)),
        "exp is NaN": signed_raw(b64(header()), b64(json.dumps(claims(exp=float("nan"))).encode())),
        "exp is infinite": signed_raw(b64(header()), b64(json.dumps(claims(exp=float("inf"))).encode())),
        "exp is huge": signed(header(), claims(exp=10**400)),
        "exp is negative": signed(header(), claims(exp=-1)),
        "exp is null": signed_raw(b64(header()), b64({**claims(), "exp": None})),
        "exp is a list": signed(header(), claims(exp=[now + 600])),
        "no session": signed(header(), claims(sid=None)),
        "session is a number": signed(header(), claims(sid=7)),
        "no token id": signed(header(), claims(jti=None)),
        "no subject": signed(header(), claims(sub=None)),
        "subject is empty": signed(header(), claims(sub="")),
        "subject with look-alike letters": signed(header(), claims(sub="rep.e\u0430st")),
        "subject with a NUL": signed(header(), claims(sub="rep.east\x00")),
        "role with a space": signed(header(), claims(role="admin ")),
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


def test_a_token_says_which_client_it_was_given_to(verifier):
    assert verifier.verify(ISSUER.access_token(PRINCIPAL, "Rep East", "receipts-portal")).client_id == "receipts-portal"
    assert verifier.verify(signed(header(), claims())).client_id == ""
    for wrong in (1, ["receipts-portal"], "receipts portal", "a\nb", "-"):
        with pytest.raises(Unauthenticated):
            verifier.verify(signed(header(), claims(client_id=wrong)))


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


async def test_a_remembered_token_is_refused_once_its_key_is_withdrawn():
    """A withdrawn key ends what it signed within the minute after which tokens are verified anew."""
    keys = {key_id(KEY.public_key()): KEY.public_key()}

    class Changing:
        async def read(self):
            return dict(keys)

    ring = KeyRing(Changing())
    await ring.refresh()
    now = [time.time()]
    verifier = TokenVerifier(AUTH, ring, nobody_signed_out(), clock=lambda: now[0])
    token = signed(header(), claims())
    assert verifier.verify(token) == PRINCIPAL
    keys.clear()
    await ring.refresh()
    assert verifier.verify(token) == PRINCIPAL
    now[0] += 61
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_remembered_token_of_an_ended_session_is_refused_at_once(verifier):
    mine, other = signed(header(), claims()), signed(header(), claims(sid="session-2"))
    assert verifier.verify(mine) == PRINCIPAL
    assert verifier.verify(other).session_id == "session-2"
    verifier.revocations.sessions = frozenset({"session-1"})
    for token in (mine, signed(header(), claims(jti="fresh"))):
        with pytest.raises(Unauthenticated, match="session has ended"):
            verifier.verify(token)
    assert verifier.verify(other).session_id == "session-2"


def test_the_tokens_used_last_are_the_ones_remembered(verifier, monkeypatch):
    monkeypatch.setattr("serve_apps.tokens._MOST_CACHED", 2)  # instead of signing ten thousand
    first, second, third = (signed(header(), claims(jti=name)) for name in "abc")
    for token in (first, second, first, third):
        verifier.verify(token)
    kept = {hashlib.sha256(token.encode()).digest() for token in (first, third)}
    assert set(verifier._known) == kept


async def test_a_new_key_signs_only_after_it_was_published():
    """Two keys are published, the first one signs: tokens of both are believed, so the order may change at any time."""
    both = {key_id(key.public_key()): key.public_key() for key in (KEY, OTHER)}

    class Both:
        async def read(self):
            return both

    ring = KeyRing(Both())
    await ring.refresh()
    verifier = TokenVerifier(AUTH, ring, nobody_signed_out())
    for key in (KEY, OTHER):
        assert verifier.verify(Issuer(AUTH, key).access_token(PRINCIPAL, "Rep East")) == PRINCIPAL


async def test_a_development_token_is_refused_in_production():
    production = AuthSettings(issuer="https://receipts.example.com/auth")
    ring = KeyRing(OneKey())  # even if the key were the same
    await ring.refresh()
    with pytest.raises(Unauthenticated):
        TokenVerifier(production, ring, nobody_signed_out()).verify(signed(header(), claims()))


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
