"""Signed tokens (JWT) in the one form that is believed: nothing optional, nothing twice, nothing embedded."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import jwt
from jwt.types import Options

from receipts.errors import Unauthenticated

TOKEN_TYPE = "at+jwt"  # noqa: S105 - the media type of RFC 9068, not a secret
LEEWAY_S = 30  # clocks of who signs and who verifies may differ by this much
MAX_LIFETIME_S = 3_600
MAX_BYTES = 8_192
INVALID = "The access token is not valid."
EXPIRED = "The access token has expired; sign in again."
_TIMES = ("exp", "iat", "nbf")
# The times are checked here: PyJWT takes fractions and strings for them.
_OPTIONS: Options = {"strict_aud": True, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
# Base64url without padding. What RSA signs has the length of its key: of 2,048 bits or more.
_SIGNATURE_CHARACTERS = {"ES256": "86", "HS256": "43", "RS256": "342,", "PS256": "342,"}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be: its algorithm, exactly these header fields, its issuer and audience, and its claims."""

    algorithm: str
    header: frozenset[str]
    issuer: str
    audience: str
    required: tuple[str, ...]
    also: frozenset[str] = frozenset()  # header fields that may stand there as well
    type: str | None = TOKEN_TYPE  # None: `typ` may be absent, or name a JWT
    lifetime_s: int = MAX_LIFETIME_S


def verified_claims(
    token: str, rules: TokenRules, find_key: Callable[[Mapping[str, Any]], Any], now: float | None = None
) -> dict[str, Any]:
    """Check form, header, signature, issuer, audience and times of a token and return its claims.

    `find_key` gets the header and returns the key, or None when there is none; `now` is in seconds since 1970. Which
    types the claims have is checked for the times only. Raises Unauthenticated, saying no more than whether the token
    has expired.
    """
    if len(token) > MAX_BYTES or not _is_canonical(token, _SIGNATURE_CHARACTERS[rules.algorithm]):
        raise Unauthenticated(INVALID)
    try:
        header = _members(token.split(".", maxsplit=1)[0])
        if not _is_expected(header, rules):
            raise Unauthenticated(INVALID)
        key = find_key(header)
        if key is None:
            raise Unauthenticated(INVALID)
        jwt.decode(
            token,
            key,
            algorithms=[rules.algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            options=_OPTIONS | {"require": list(rules.required)},
        )
        claims = _members(token.split(".")[1])
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated(INVALID) from None
    _check_times(claims, rules, time.time() if now is None else now)
    return claims


def _check_times(claims: dict[str, Any], rules: TokenRules, now: float) -> None:
    """Raise Unauthenticated unless all times are whole seconds, in order, and around now."""
    if any(type(claims[name]) is not int for name in _TIMES if name in claims):
        raise Unauthenticated(INVALID)
    issued, expires = claims["iat"], claims["exp"]
    if expires <= now - LEEWAY_S:
        raise Unauthenticated(EXPIRED)
    if not 0 < expires - issued <= rules.lifetime_s or max(issued, claims.get("nbf", issued)) > now + LEEWAY_S:
        raise Unauthenticated(INVALID)


def _is_expected(header: dict[str, Any], rules: TokenRules) -> bool:
    """Say whether a header has the fields it must have, and no other than those it may have."""
    if not rules.header <= header.keys() <= rules.header | rules.also or header["alg"] != rules.algorithm:
        return False
    return header.get("typ", "JWT") == (rules.type or "JWT")


def _is_canonical(token: str, signature_characters: str) -> bool:
    """Say whether a token has three parts, each the only base64url writing of its bytes (RFC 4648, section 3.5)."""
    if not re.fullmatch(rf"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{{{signature_characters}}}", token):
        return False
    for part in token.split("."):
        try:
            decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
            return False
    return True


def _members(part: str) -> dict[str, Any]:
    """Return the members of a part that is a JSON object. Raises ValueError, also when a name stands there twice."""
    text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8")
    found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    if not isinstance(found, dict):
        raise TypeError("expected a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands there twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
