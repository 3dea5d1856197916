"""The trace of each request to the portal: a new one, because browsers are anybody's."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.types import Message, Receive, Scope, Send

from gradio_ui.doorway import Doorway
from receipts.logs import REQUEST
from receipts.tracing import within

if TYPE_CHECKING:
    from receipts.spans import Tracing

_METHODS = frozenset({"GET", "POST", "HEAD"})


class Visits:
    """Stands before the portal. `routes` are its own paths, `mounts` what it mounts: all that is told of a path."""

    def __init__(
        self, door: Doorway, tracing: Tracing | None, routes: Collection[str], mounts: Collection[str]
    ) -> None:
        self.portal = door.portal
        self._app = door
        self._tracing = tracing
        self._routes = frozenset(routes)
        self._below = {route.partition("{")[0]: route for route in routes if "{" in route}
        self._mounts = tuple(mounts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST.set(uuid4().hex)
        route = self._route(scope)
        span = self._tracing.start(route, "server") if self._tracing is not None else None

        async def send_noted(message: Message) -> None:
            if span is not None and message["type"] == "http.response.start":
                span.tell({"http.response.status_code": message["status"]})
                if message["status"] >= 500:
                    span.fail(str(message["status"]))
            await send(message)

        with within(span):
            await self._app(scope, receive, send_noted)

    def _route(self, scope: Scope) -> str:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        path: str = scope["path"]
        if path in self._routes:
            return f"{method} {path}"
        below = next((route for start, route in self._below.items() if path.startswith(start)), None)
        if below is not None:
            return f"{method} {below}"
        mount = next((one for one in self._mounts if path.startswith(f"{one}/")), None)
        return f"{method} {mount}/*" if mount is not None else f"{method} (no such page)"
