"""Tokens of tills: what the gateway signed is believed, and nothing that resembles it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from ingest.tokens import AUDIENCE, Tokens
from receipts.errors import Unauthenticated
from receipts.signed_tokens import LEEWAY_S, MAX_LIFETIME_S, TOKEN_TYPE

_KEY = b"k" * 32
_TOKENS = Tokens(_KEY, lifetime_s=3_600)
_HEADER = {"typ": TOKEN_TYPE}


def test_a_token_names_its_client_and_the_stores_it_may_write():
    claims = _TOKENS.verify(_TOKENS.mint("east-liberty-2", frozenset({367, 12}), all_stores=False))
    assert claims.client_id == "east-liberty-2"
    assert [store_id for store_id in (12, 13, 367) if claims.may_write(store_id)] == [12, 367]
    feed = _TOKENS.verify(_TOKENS.mint("head-office", frozenset(), all_stores=True))
    assert feed.may_write(13)


def test_a_token_that_has_expired_is_told_from_one_that_never_was_valid():
    late = int(time.time()) - LEEWAY_S - 5
    with pytest.raises(Unauthenticated, match="has expired"):
        _TOKENS.verify(_signed(iat=late - 600, nbf=late - 600, exp=late))


def test_clocks_may_differ_a_little():
    now = int(time.time())
    ahead = _signed(iat=now + LEEWAY_S - 10, nbf=now + LEEWAY_S - 10, exp=now + 600)
    assert _TOKENS.verify(ahead).client_id == "east-liberty-2"


def _claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "receipts-gateway",
        "aud": AUDIENCE,
        "sub": "east-liberty-2",
        "stores": [367],
        "all": False,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    return {name: value for name, value in {**claims, **changed}.items() if value is not ...}


def _signed(key: bytes = _KEY, algorithm: str = "HS256", header: dict[str, Any] | None = None, **changed: Any) -> str:
    return jwt.encode(_claims(**changed), key, algorithm, _HEADER if header is None else header)


def _text(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _with_claims_of_another() -> str:
    head, _, signature = _signed().split(".")
    return f"{head}.{_text(_claims(all=True, stores=[]))}.{signature}"


def _unsigned() -> str:
    return f"{_text({'alg': 'none', 'typ': TOKEN_TYPE})}.{_text(_claims())}."


def _with_spare_bits() -> str:
    """Return a token whose signature is the same bytes in another writing."""
    token = _signed()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) + 1]  # the last letter carries two bits that mean nothing


def _now(seconds: int) -> int:
    return int(time.time()) + seconds


_FORGED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token": lambda: "abc",
    "two parts": lambda: ".".join(_signed().split(".")[:2]),
    "four parts": lambda: f"{_signed()}.x",
    "a line more": lambda: f"{_signed()}\n",
    "padding": lambda: f"{_signed()}=",
    "the same bytes written otherwise": _with_spare_bits,
    "endless": lambda: _signed(sub="x" * 9_000),
    "unsigned": _unsigned,
    "claims exchanged": _with_claims_of_another,
    "another key": lambda: _signed(key=b"K" * 32),
    "another algorithm of the same key": lambda: _signed(algorithm="HS384", key=_KEY * 2),
    "a key of its own in the header": lambda: _signed(header={**_HEADER, "jwk": {"kty": "oct", "k": "a2s"}}),
    "a place for the key in the header": lambda: _signed(header={**_HEADER, "jku": "https://keys.example/"}),
    "a number of a key": lambda: _signed(header={**_HEADER, "kid": "../../dev/null"}),
    "a demand on who verifies": lambda: _signed(header={**_HEADER, "crit": ["exp"]}),
    "another type": lambda: _signed(header={"typ": "JWT"}),
    "another issuer": lambda: _signed(iss="receipts-dev"),
    "no issuer": lambda: _signed(iss=...),
    "for the API of the reps": lambda: _signed(aud="receipts-api"),
    "for several": lambda: _signed(aud=[AUDIENCE, "receipts-api"]),
    "no audience": lambda: _signed(aud=...),
    "nobody": lambda: _signed(sub=...),
    "somebody with a number for a name": lambda: _signed(sub=7),
    "not yet": lambda: _signed(nbf=_now(LEEWAY_S + 60)),
    "made tomorrow": lambda: _signed(iat=_now(86_400), exp=_now(86_400 + 600)),
    "for ever": lambda: _signed(exp=_now(MAX_LIFETIME_S + 60)),
    "no end": lambda: _signed(exp=...),
    "an end that is a fraction": lambda: _signed(exp=time.time() + 600.5),
    "an end that is true": lambda: _signed(exp=True),
    "no stores": lambda: _signed(stores=...),
    "no store and not all": lambda: _signed(stores=[]),
    "some stores and all": lambda: _signed(all=True),
    "all by a number": lambda: _signed(all=1, stores=[]),
    "stores in words": lambda: _signed(stores="367"),
    "a store in words": lambda: _signed(stores=["367"]),
    "a store that is true": lambda: _signed(stores=[True]),
}


@pytest.mark.parametrize("forged", _FORGED.values(), ids=_FORGED.keys())
def test_what_resembles_a_token_is_not_believed(forged: Callable[[], str]):
    with pytest.raises(Unauthenticated):
        _TOKENS.verify(forged())
