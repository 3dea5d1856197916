"""Who is asking: the middleware that turns an Authorization header into a principal before anything else is read."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from receipts.access import Principal
from receipts.errors import Unauthenticated
from serve_apps.exchange import exchange_of
from serve_apps.tokens import TokenVerifier


class Authentication:
    """Lets only recognised callers through; the guard of each route then says what they may do."""

    def __init__(self, app: ASGIApp, tokens: TokenVerifier) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; raises Unauthenticated."""
        if scope["type"] == "http":
            exchange_of(scope).principal = recognise(scope, self._tokens)
        await self._app(scope, receive, send)


def recognise(scope: Scope, tokens: TokenVerifier) -> Principal:
    """Return whom the request's token stands for. Raises Unauthenticated."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        raise Unauthenticated
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated("Send one header `Authorization: Bearer <access token>`.")
    return tokens.verify(token)
