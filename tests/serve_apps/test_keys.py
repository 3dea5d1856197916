"""Signing keys and published key sets: which keys are taken, and from whom."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from configs.settings import SettingsError
from serve_apps.keys import KeyRing, OwnKeys, PublishedKeys, key_id, load_signing_keys, public_jwk


def pem(key) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def with_keys(settings, text: str):
    return settings.model_copy(update={"auth": settings.auth.model_copy(update={"signing_key": SecretStr(text)})})


async def test_of_several_signing_keys_the_first_signs_and_all_are_published(settings):
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    several = with_keys(settings, "".join(pem(key) for key in keys))
    names = [key_id(key.public_key()) for key in keys]
    assert [key_id(key.public_key()) for key in load_signing_keys(several)] == names
    assert list(await OwnKeys(several).read()) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "guess",
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP384R1())),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
    ids=["nothing", "no PEM", "RSA", "P-384", "broken"],
)
def test_what_is_no_signing_key_is_refused_without_being_repeated(settings, text):
    with pytest.raises(SettingsError, match="RECEIPTS_AUTH__SIGNING_KEY") as refused:
        load_signing_keys(with_keys(settings, text))
    assert "AAAA" not in str(refused.value)


def test_production_has_no_key_that_nobody_set(settings):
    with pytest.raises(SettingsError, match="RECEIPTS_AUTH__SIGNING_KEY_FILE is set"):
        load_signing_keys(settings.model_copy(update={"environment": "production"}))


@pytest.fixture
def published():
    """A web server that answers what is put into its dictionary."""
    answers: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def rsa_jwk(bits: int, **changes: str) -> dict[str, str]:
    key = rsa.generate_private_key(65537, bits).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": f"rsa-{bits}", "use": "sig"} | changes


async def test_only_keys_of_the_pinned_algorithm_and_strength_are_taken(published):
    base, answers = published
    elliptic = public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
    symmetric = {"kty": "oct", "k": "AAAA", "kid": "oct"}
    nameless = {k: v for k, v in rsa_jwk(2048).items() if k != "kid"}
    others = [rsa_jwk(1024), rsa_jwk(2048, use="enc", kid="enc"), rsa_jwk(2048, alg="PS256", kid="ps"), nameless]
    answers["/jwks"] = {"keys": [elliptic, symmetric, rsa_jwk(2048), *others]}
    assert set(await PublishedKeys(base, "RS256", f"{base}/jwks").read()) == {"rsa-2048"}
    assert set(await PublishedKeys(base, "ES256", f"{base}/jwks").read()) == {elliptic["kid"]}


async def test_a_discovery_document_of_another_issuer_is_refused(published):
    base, answers = published
    places = dict.fromkeys(("authorization_endpoint", "token_endpoint"), f"{base}/x") | {"jwks_uri": f"{base}/jwks"}
    answers["/jwks"] = {"keys": [rsa_jwk(2048)]}
    answers["/.well-known/openid-configuration"] = places | {"issuer": base}
    assert set(await PublishedKeys(base, "RS256").read()) == {"rsa-2048"}
    answers["/.well-known/openid-configuration"] = places | {"issuer": "https://evil.example"}
    with pytest.raises(ValueError, match="calls itself differently"):
        await PublishedKeys(base, "RS256").read()


@pytest.mark.parametrize(
    "told", [[], {"keys": ["a"]}, {"keys": None}, "text", None, {"keys": [{"kty": "RSA", "kid": 1}]}]
)
async def test_a_key_set_that_is_none_leaves_the_keys_as_they_were(published, told):
    base, answers = published
    answers["/jwks"] = {"keys": [rsa_jwk(2048)]}
    ring = KeyRing(PublishedKeys(base, "RS256", f"{base}/jwks"))
    await ring.refresh()
    answers["/jwks"] = told
    await ring.refresh()
    assert ring.find("rsa-2048") is not None
