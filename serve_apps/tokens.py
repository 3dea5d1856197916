"""Access tokens: which ones are believed, and as whom."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt

from configs.settings import AuthSettings
from receipts.access import Principal, Role
from receipts.errors import Unauthenticated
from serve_apps.keys import KeyRing

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the media type of RFC 9068, not a secret
LEEWAY_S = 30  # clocks of issuer and replica may differ by this much
MAX_LIFETIME_S = 3_600
_MAX_BYTES = 8_192
_MOST_CACHED = 10_000
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")  # 86: an ES256 signature, without padding
_HEADER = frozenset({"alg", "typ", "kid"})  # nothing else: no embedded key, no key URL, no critical extension
_REQUIRED = ["iss", "aud", "sub", "exp", "iat", "role", "scope_id", "sid", "jti"]
_TIMES = ("exp", "iat", "nbf")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:|-]{0,99}")
_INVALID = "The access token is not valid."
_EXPIRED = "The access token has expired; sign in again."


class TokenVerifier:
    """Verifies access tokens and remembers those it has verified until they expire."""

    def __init__(self, auth: AuthSettings, keys: KeyRing, clock: Callable[[], float] = time.time) -> None:
        """Take the `clock`, in seconds since 1970, that remembered tokens expire by."""
        self.keys = keys
        self._clock = clock
        self._issuer = auth.issuer
        self._audience = auth.audience
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Return who a token stands for. Raises Unauthenticated, saying no more than whether it has expired."""
        if len(token) > _MAX_BYTES:
            raise Unauthenticated(_INVALID)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            expires, principal = known
            if self._clock() >= expires:
                raise Unauthenticated(_EXPIRED)
            return principal
        claims = self._claims(token)
        principal = _principal(claims)
        self._known[digest] = (float(claims["exp"] + LEEWAY_S), principal)
        if len(self._known) > _MOST_CACHED:
            self._known.popitem(last=False)
        return principal

    def _claims(self, token: str) -> dict[str, Any]:
        """Check form, header, signature, issuer, audience and times of a token."""
        if not _SHAPE.fullmatch(token) or not _canonical(token):
            raise Unauthenticated(_INVALID)
        try:
            header = jwt.get_unverified_header(token)
            if header.keys() != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TOKEN_TYPE:
                raise Unauthenticated(_INVALID)
            key = self.keys.find(header["kid"]) if isinstance(header["kid"], str) else None
            if key is None:
                raise Unauthenticated(_INVALID)
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated(_EXPIRED) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated(_INVALID) from None
        if any(type(claims[name]) is not int for name in _TIMES if name in claims):
            raise Unauthenticated(_INVALID)
        if not 0 < claims["exp"] - claims["iat"] <= MAX_LIFETIME_S:
            raise Unauthenticated(_INVALID)
        return claims


def _principal(claims: dict[str, Any]) -> Principal:
    """Read who the claims name; every claim has one exact type."""
    texts = [claims[name] for name in ("sub", "role", "scope_id", "sid", "jti")]
    if not all(isinstance(text, str) for text in texts):
        raise Unauthenticated(_INVALID)
    subject, role, scope_id, session_id, _ = texts
    try:
        scope = UUID(scope_id)
        known_role = Role(role)
    except ValueError:
        raise Unauthenticated(_INVALID) from None
    if not (_NAME.fullmatch(subject) and _NAME.fullmatch(session_id)):
        raise Unauthenticated(_INVALID)
    return Principal(subject, known_role, str(scope), session_id)


def _canonical(token: str) -> bool:
    """Say whether each part is the only base64url writing of its bytes (RFC 4648, section 3.5)."""
    for part in token.split("."):
        try:
            decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
            return False
    return True
