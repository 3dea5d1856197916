"""Which ID tokens of a company's provider are believed."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from configs.auth import AuthSettings, UpstreamSettings
from receipts.errors import Unauthenticated
from serve_apps.admission import worth_of
from serve_apps.upstream import Identity, Proofs, Upstream

TENANT = "11111111-2222-3333-4444-555555555555"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
PROOFS = Proofs("the secret of one browser")
AUTH = AuthSettings(
    issuer="https://receipts.example.com/auth",
    upstream=UpstreamSettings(issuer=ISSUER, client_id="receipts", tenant=TENANT, subject_claim="oid"),
)


class OneKey:
    """A source of the test's own key."""

    async def read(self):
        return {"k1": KEY.public_key()}


@pytest.fixture
async def upstream():
    made = Upstream(AUTH)
    made.keys._source = OneKey()
    await made.keys.refresh()
    async with made.client:
        yield made


def b64(data: bytes | dict) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes) -> dict:
    now = int(time.time())
    made = {
        "iss": ISSUER, "aud": "receipts", "sub": "pairwise", "oid": "object-1", "tid": TENANT, "nonce": PROOFS.nonce,
        "iat": now - 300, "nbf": now - 300, "exp": now + 3_600, "name": "Renee East", "groups": ["a", 1, "b"],
    }  # fmt: skip
    return {key: value for key, value in (made | changes).items() if value is not None}


def header(**changes) -> dict:
    made = {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    return {key: value for key, value in (made | changes).items() if value is not None}


def signed(head: dict, body: dict | bytes, key=KEY) -> str:
    text = f"{b64(head)}.{b64(body)}"
    return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def attacks() -> dict[str, str]:
    now = int(time.time())
    good = signed(header(), claims())
    head, body, signature = good.split(".")
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    confused = f"{b64(header(alg='HS256'))}.{body}"
    twice = json.dumps(claims()).encode()[:-1] + b', "oid": "object-2"}'
    return {
        "empty": "",
        "alg none": f"{b64(header(alg='none'))}.{body}.",
        "alg none with a signature": f"{b64(header(alg='none'))}.{body}.{signature}",
        "HS256 with the public key": f"{confused}.{b64(hmac.digest(public, confused.encode(), hashlib.sha256))}",
        "PS256 where RS256 is pinned": jwt.encode(claims(), KEY, "PS256", header(alg=None)),
        "RS512 where RS256 is pinned": jwt.encode(claims(), KEY, "RS512", header(alg=None)),
        "ES256 where RS256 is pinned": jwt.encode(
            claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", header(alg=None)
        ),
        "another key": signed(header(), claims(), OTHER),
        "unknown kid": signed(header(kid="k2"), claims()),
        "no kid": signed(header(kid=None), claims()),
        "embedded jwk": signed(header(jwk={"kty": "RSA"}), claims(), OTHER),
        "jku": signed(header(jku="https://evil.example/jwks"), claims(), OTHER),
        "x5c": signed(header(x5c=["AAAA"]), claims(), OTHER),
        "crit": signed(header(crit=["b64"], b64=False), claims()),
        "access token": signed(header(typ="at+jwt"), claims()),
        "body exchanged": f"{head}.{b64(claims(oid='object-2'))}.{signature}",
        "signature cut": good[:-4],
        "zero signature": f"{head}.{body}.{b64(bytes(256))}",
        "a claim twice": signed(header(), twice),
        "another tenant's issuer": signed(header(), claims(iss=ISSUER.replace("1111", "9999"))),
        "the common issuer": signed(header(), claims(iss="https://login.microsoftonline.com/common/v2.0")),
        "another tenant": signed(header(), claims(tid="99999999-2222-3333-4444-555555555555")),
        "no tenant": signed(header(), claims(tid=None)),
        "another application": signed(header(), claims(aud="another")),
        "list of audiences": signed(header(), claims(aud=["receipts", "another"])),
        "another authorized party": signed(header(), claims(azp="another")),
        "another nonce": signed(header(), claims(nonce="guess")),
        "no nonce": signed(header(), claims(nonce=None)),
        "nonce is a list": signed(header(), claims(nonce=[PROOFS.nonce])),
        "expired": signed(header(), claims(iat=now - 700, exp=now - 100)),
        "issued an hour ago": signed(header(), claims(iat=now - 3_600)),
        "issued in the future": signed(header(), claims(iat=now + 300)),
        "not yet valid": signed(header(), claims(nbf=now + 300)),
        "exp is a string": signed(header(), claims(exp=str(now + 600))),
        "exp is a fraction": signed(header(), claims(exp=now + 600.5)),
        "no exp": signed(header(), claims(exp=None)),
        "30 days": signed(header(), claims(exp=now + 30 * 86_400)),
        "no object id": signed(header(), claims(oid=None)),
        "object id is a number": signed(header(), claims(oid=1)),
        "object id with a line break": signed(header(), claims(oid="a\nb")),
        "object id with look-alike letters": signed(header(), claims(oid="\u043ebject-1")),
        "64 KB": signed(header(), claims(padding="x" * 65_536)),
        "five parts": f"{good}.{signature}.{signature}",
        "padded": f"{head}=.{body}.{signature}",
    }  # fmt: skip


def test_an_id_token_says_who_somebody_is_by_what_never_changes_hands(upstream):
    told = upstream.identify(signed(header(), claims(email="someone@example.com")), PROOFS)
    assert told == Identity(ISSUER, "object-1", "Renee East", frozenset({"a", "b"}))


@pytest.mark.parametrize("head", [header(typ=None), header(x5t="k1")], ids=["Okta", "Entra ID"])
def test_headers_as_providers_send_them_are_taken(upstream, head):
    assert upstream.identify(signed(head, claims()), PROOFS).subject == "object-1"


@pytest.mark.parametrize("name", list(attacks()))
def test_an_attack_is_refused(upstream, name):
    with pytest.raises(Unauthenticated, match="did not confirm"):
        upstream.identify(attacks()[name], PROOFS)


def test_a_token_of_another_browsers_sign_in_is_refused(upstream):
    with pytest.raises(Unauthenticated):
        upstream.identify(signed(header(), claims()), Proofs("the secret of another browser"))


@pytest.mark.parametrize(
    ("groups", "worth"),
    [
        ({"a"}, ("supervisor", [3], False)),
        ({"a", "b"}, ("supervisor", [3, 4], False)),
        ({"b", "c"}, ("supervisor", [4], False)),
        ({"c"}, ("cs_rep", [], True)),
        ({"A", "other"}, (None, [], False)),
        (set(), (None, [], False)),
    ],
)
def test_the_first_group_of_the_settings_gives_the_role_and_all_groups_of_it_the_regions(groups, worth):
    mapping = {"a": "supervisor:3", "b": "supervisor:4", "c": "cs_rep:all"}
    assert worth_of(frozenset(groups), mapping) == worth
