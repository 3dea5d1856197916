"""Who is asking: the middleware that turns an Authorization header into a principal before anything else is read."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from receipts.access import Principal
from receipts.errors import Unauthenticated
from serve_apps.addresses import client_address
from serve_apps.exchange import Exchange, exchange_of
from serve_apps.serving import ServingContext
from serve_apps.tokens import TokenVerifier


class Authentication:
    """Lets only recognised callers through; the guard of each route then says what they may do."""

    def __init__(self, app: ASGIApp, context: ServingContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and its answer within the limits; raises Unauthenticated and LimitReached.

        The audit trail holds the whole answer back until this returns.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        await admit(scope, exchange, self._context)
        exchange.journey.enter("handle")
        await self._app(scope, receive, send)
        exchange.journey.enter("limits")
        await self._context.limits.disclose(exchange)


class Anonymity:
    """Stands where nobody is signed in yet: counts every request against its address, where addresses are known."""

    def __init__(self, app: ASGIApp, context: ServingContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; raises LimitReached."""
        if scope["type"] == "http":
            exchange = exchange_of(scope)
            exchange.address = client_address(scope, self._context.settings.limits.trusted_hops) or ""
            exchange.journey.recognised(None)
            exchange.journey.enter("handle")
            if exchange.address:
                await self._context.limits.admit_stranger(exchange.address)
        await self._app(scope, receive, send)


async def admit(scope: Scope, exchange: Exchange, context: ServingContext) -> Principal:
    """Note on the exchange whom a request comes from, count it, and return who it is.

    One that is not recognised counts against its address and leaves recognised callers from there alone, because a
    whole service centre may share one. Raises Unauthenticated, or LimitReached.
    """
    exchange.address = client_address(scope, context.settings.limits.trusted_hops) or ""
    try:
        principal = exchange.principal = recognise(scope, context.tokens)
    except Unauthenticated:
        credential = b"".join(value for name, value in scope["headers"] if name == b"authorization")
        await context.limits.admit_stranger(exchange.address or None, credential)
        raise
    exchange.journey.recognised(principal)
    exchange.journey.enter("limits")
    await context.limits.admit(principal)
    return principal


def recognise(scope: Scope, tokens: TokenVerifier) -> Principal:
    """Return whom the request's token stands for. Raises Unauthenticated."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        raise Unauthenticated
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated("Send one header `Authorization: Bearer <access token>`.")
    return tokens.verify(token)
