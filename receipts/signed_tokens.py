"""Signed tokens (JWT) in the one form that is believed: nothing optional, nothing twice, nothing embedded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from receipts.errors import Unauthenticated

TOKEN_TYPE = "at+jwt"  # noqa: S105 - the media type of RFC 9068, not a secret
LEEWAY_S = 30  # clocks of who signs and who verifies may differ by this much
MAX_LIFETIME_S = 3_600
MAX_BYTES = 8_192
INVALID = "The access token is not valid."
EXPIRED = "The access token has expired; sign in again."
_TIMES = ("exp", "iat", "nbf")
_SIGNATURE_CHARACTERS = {"ES256": 86, "HS256": 43}  # base64url without padding


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be: its algorithm, exactly these header fields, its issuer and audience, and its claims."""

    algorithm: str
    header: frozenset[str]
    issuer: str
    audience: str
    required: tuple[str, ...]


def verified_claims(token: str, rules: TokenRules, find_key: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """Check form, header, signature, issuer, audience and times of a token and return its claims.

    `find_key` gets the header and returns the key, or None when there is none. Which types the claims have is checked
    for the times only. Raises Unauthenticated, saying no more than whether the token has expired.
    """
    if len(token) > MAX_BYTES or not _is_canonical(token, _SIGNATURE_CHARACTERS[rules.algorithm]):
        raise Unauthenticated(INVALID)
    try:
        header = jwt.get_unverified_header(token)
        if header.keys() != rules.header or header["alg"] != rules.algorithm or header["typ"] != TOKEN_TYPE:
            raise Unauthenticated(INVALID)
        key = find_key(header)
        if key is None:
            raise Unauthenticated(INVALID)
        claims = jwt.decode(
            token,
            key,
            algorithms=[rules.algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=LEEWAY_S,
            options={"require": list(rules.required), "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated(EXPIRED) from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthenticated(INVALID) from None
    if any(type(claims[name]) is not int for name in _TIMES if name in claims):
        raise Unauthenticated(INVALID)
    if not 0 < claims["exp"] - claims["iat"] <= MAX_LIFETIME_S:
        raise Unauthenticated(INVALID)
    return claims


def _is_canonical(token: str, signature_characters: int) -> bool:
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
