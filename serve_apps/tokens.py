"""Access tokens: which ones are believed, and as whom."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from configs.auth import AuthSettings
from receipts.access import Principal, Role
from receipts.errors import Unauthenticated, Unavailable
from receipts.signed_tokens import INVALID, LEEWAY_S, MAX_BYTES, TokenRules, verified_claims
from serve_apps.keys import Key, KeyRing
from serve_apps.revocations import Revocations

ALGORITHM = "ES256"
ENDED = "The session has ended; sign in again."
_MOST_CACHED = 10_000
_RECHECKED_S = 60.0  # a token is verified anew after that, so that a key which its issuer withdrew ends what it signed
_HEADER = frozenset({"alg", "typ", "kid"})  # nothing else: no embedded key, no key URL, no critical extension
_REQUIRED = ("iss", "aud", "sub", "exp", "iat", "role", "scope_id", "sid", "jti")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:|-]{0,99}")


class TokenVerifier:
    """Verifies access tokens and remembers for a minute those it has verified."""

    def __init__(
        self,
        auth: AuthSettings,
        keys: KeyRing,
        revocations: Revocations,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the `clock`, in seconds since 1970, that remembered tokens expire by."""
        self.keys = keys
        self.revocations = revocations
        self._clock = clock
        self._rules = TokenRules(ALGORITHM, _HEADER, auth.issuer, auth.audience, _REQUIRED)
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        # Of tokens: believed from memory, believed anew, refused, of an ended session, and not judged.
        self.outcomes = dict.fromkeys(("remembered", "verified", "refused", "ended", "unknown"), 0)

    def verify(self, token: str) -> Principal:
        """Return who a token stands for.

        Raises Unauthenticated, saying no more than whether it has expired or its session has ended, and Unavailable
        when that is not known.
        """
        if len(token) > MAX_BYTES:
            self.outcomes["refused"] += 1
            raise Unauthenticated(INVALID)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            principal = known[1]
            self._known.move_to_end(digest)
            self.outcomes["remembered"] += 1
        else:
            principal = self._verify_anew(token, digest, now)
        revocations = self.revocations
        if now > revocations.good_until:
            self.outcomes["unknown"] += 1
            raise Unavailable("Which sessions have ended cannot be read at the moment; try again shortly.")
        if principal.session_id in revocations.sessions:
            self.outcomes["ended"] += 1
            raise Unauthenticated(ENDED)
        return principal

    def _verify_anew(self, token: str, digest: bytes, now: float) -> Principal:
        """Verify a token and remember it, the least used one giving way."""
        self._known.pop(digest, None)
        try:
            claims = verified_claims(token, self._rules, self._key, now)
            principal = _principal(claims)
        except Unauthenticated:
            self.outcomes["refused"] += 1
            raise
        self.outcomes["verified"] += 1
        self._known[digest] = (min(float(claims["exp"] + LEEWAY_S), now + _RECHECKED_S), principal)
        if len(self._known) > _MOST_CACHED:
            self._known.popitem(last=False)
        return principal

    def _key(self, header: Mapping[str, Any]) -> Key | None:
        return self.keys.find(header["kid"])


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
    client_id = claims.get("client_id", "")
    if not isinstance(client_id, str) or (client_id and not _NAME.fullmatch(client_id)):
        raise Unauthenticated(INVALID)
    return Principal(subject, known_role, str(scope), session_id, client_id)
