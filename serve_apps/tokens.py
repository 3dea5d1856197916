"""Access tokens: which ones are believed, and as whom."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from configs.settings import AuthSettings
from receipts.access import Principal, Role
from receipts.errors import Unauthenticated
from receipts.signed_tokens import EXPIRED, INVALID, LEEWAY_S, MAX_BYTES, TokenRules, verified_claims
from serve_apps.keys import KeyRing

ALGORITHM = "ES256"
_MOST_CACHED = 10_000
_HEADER = frozenset({"alg", "typ", "kid"})  # nothing else: no embedded key, no key URL, no critical extension
_REQUIRED = ("iss", "aud", "sub", "exp", "iat", "role", "scope_id", "sid", "jti")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:|-]{0,99}")


class TokenVerifier:
    """Verifies access tokens and remembers those it has verified until they expire."""

    def __init__(self, auth: AuthSettings, keys: KeyRing, clock: Callable[[], float] = time.time) -> None:
        """Take the `clock`, in seconds since 1970, that remembered tokens expire by."""
        self.keys = keys
        self._clock = clock
        self._rules = TokenRules(ALGORITHM, _HEADER, auth.issuer, auth.audience, _REQUIRED)
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Return who a token stands for. Raises Unauthenticated, saying no more than whether it has expired."""
        if len(token) > MAX_BYTES:
            raise Unauthenticated(INVALID)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            expires, principal = known
            if self._clock() >= expires:
                raise Unauthenticated(EXPIRED)
            return principal
        claims = verified_claims(token, self._rules, self._key)
        principal = _principal(claims)
        self._known[digest] = (float(claims["exp"] + LEEWAY_S), principal)
        if len(self._known) > _MOST_CACHED:
            self._known.popitem(last=False)
        return principal

    def _key(self, header: Mapping[str, Any]) -> EllipticCurvePublicKey | None:
        return self.keys.find(header["kid"]) if isinstance(header["kid"], str) else None


def _principal(claims: dict[str, Any]) -> Principal:
    """Read who the claims name; every claim has one exact type."""
    texts = [claims[name] for name in ("sub", "role", "scope_id", "sid", "jti")]
    if not all(isinstance(text, str) for text in texts):
        raise Unauthenticated(INVALID)
    subject, role, scope_id, session_id, _ = texts
    try:
        scope = UUID(scope_id)
        known_role = Role(role)
    except ValueError:
        raise Unauthenticated(INVALID) from None
    if not (_NAME.fullmatch(subject) and _NAME.fullmatch(session_id)):
        raise Unauthenticated(INVALID)
    return Principal(subject, known_role, str(scope), session_id)
