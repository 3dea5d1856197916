"""The first thing a request meets in a replica, before Ray Serve's own layers."""

from __future__ import annotations

import itertools
import secrets

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Headers by which whoever sends them changes how Serve treats the request.
_OURS = frozenset({b"x-request-id", b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


class Entrance:
    """Takes away what only we may say to Serve, and says it.

    A GET is short and harmless: Serve need not watch for its caller to hang up, which takes a task of its own. The id
    saves Serve from making one; it is Serve's, for its metrics and logs, and not the one that answers carry.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._process = secrets.token_hex(8)
        self._requests = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http":
            headers = [header for header in scope["headers"] if header[0] not in _OURS]
            headers.append((b"x-request-id", f"{self._process}{next(self._requests):x}".encode()))
            if scope["method"] == "GET":
                headers.append((b"x-request-disconnect-disabled", b"?1"))
            scope["headers"] = headers
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Return what Serve puts around every replica; named by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(Entrance)]
