"""The first thing a request meets in a replica, before Ray Serve's own layers."""

from __future__ import annotations

import itertools
import secrets

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.short_way import short_way

# Headers by which whoever sends them changes how Serve treats the request.
_OURS = frozenset({b"x-request-id", b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})
_received: list[tuple[FastAPI, str]] = []  # Serve makes the entrance itself, in the process of the one replica


def receive_for(app: FastAPI, prefix: str) -> None:
    """Let the entrances of this process answer what the application has a shortcut for."""
    _received[:] = [(app, prefix)]


class Entrance:
    """Answers what is asked most at once; else takes away what only we may say to Serve, and says it.

    A shortcut passes Serve's own layers by, which take a third of a replica's time and do for it what is done better
    elsewhere: its queue is bounded in the coalescer, and replicas are added by how busy they are. Serve still starts,
    checks, drains and replaces them: uvicorn ends no connection with an answer due.
    A GET is short and harmless: Serve need not watch for its caller to hang up, which takes a task of its own. The id
    saves Serve from making one; it is Serve's, for its metrics and logs, and not the one that answers carry.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._enter: ASGIApp = self._pass_on
        for application, prefix in _received:
            self._enter = short_way(application, prefix, self._pass_on)
        self._process = secrets.token_hex(8)
        self._requests = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or pass it on."""
        await self._enter(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [header for header in scope["headers"] if header[0] not in _OURS]
            served_as = (b"x-request-id", f"{self._process}{next(self._requests):x}".encode())
            headers.append(served_as)
            if scope["method"] == "GET":
                headers.append((b"x-request-disconnect-disabled", b"?1"))
            scope["headers"] = headers
            send = _without(served_as, send)
        await self._app(scope, receive, send)


def _without(served_as: tuple[bytes, bytes], send: Send) -> Send:
    """Return a `send` that leaves out Serve's number, which it adds to the one by which an answer is on record."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [header for header in message["headers"] if tuple(header) != served_as]
        await send(message)

    return send_on


def middlewares() -> list[Middleware]:
    """Return what Serve puts around every replica; named by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(Entrance)]
