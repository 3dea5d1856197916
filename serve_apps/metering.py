"""Every answer is counted, by its route and status, with how long it took until it began to leave."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.audit import route_of
from serve_apps.meters import Traffic


class Metering:
    """Stands around all other layers; what takes a shortcut past them is counted there."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        took: float | None = None

        async def send_noted(message: Message) -> None:
            nonlocal status, took
            if message["type"] == "http.response.start":
                # What follows is sent as fast as it is read: of a long file that says nothing about us.
                status, took = message["status"], time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            self._traffic.of(route_of(scope)).add(status, time.perf_counter() - began if took is None else took)
