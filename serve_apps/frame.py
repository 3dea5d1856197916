"""The frame around every request: its id, its size limit, and the headers that keep answers out of caches."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receipts.errors import TooLarge, Unavailable
from receipts.logs import REQUEST
from serve_apps.audit import route_of
from serve_apps.exchange import begin_exchange
from serve_apps.journey import begin_journey

if TYPE_CHECKING:
    from receipts.spans import Tracing

REQUEST_ID = b"x-request-id"
PROTECTION = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
)
_process = secrets.token_hex(8)
_requests = itertools.count()


def new_request_id() -> str:
    """Return 32 hex digits that no other request of any process has, and name them in what this task logs.

    Ours, because a client's is not trusted.
    """
    made = f"{_process}{next(_requests):016x}"
    REQUEST.set(made)
    return made


def framed(send: Send, request_id: str) -> Send:
    """Return a `send` that gives the answer its protective headers and its id."""

    async def send_framed(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = [(name, value) for name, value in message["headers"] if name != REQUEST_ID]
            names = {name for name, _ in given}
            missing = [(name, value) for name, value in PROTECTION if name not in names]
            message["headers"] = [*given, *missing, (REQUEST_ID, request_id.encode())]
        await send(message)

    return send_framed


class Frame:
    """Gives each request its id, its trace and each answer its protective headers."""

    def __init__(self, app: ASGIApp, tracing: Tracing | None) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        journey = begin_journey(self._tracing, scope)
        begin_exchange(scope, request_id, journey)
        if scope["path"] == scope.get("root_path"):  # /receipt means /receipt/
            scope["path"] += "/"
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, framed(send_noted, request_id))
        finally:
            journey.end(route_of(scope), request_id, status)


class BodyLimit:
    """Reads the whole body first and refuses one beyond the limit, announced or sent in chunks."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; raises TooLarge."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self._max_bytes:
            raise self._refusal()
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the client went away: nobody waits for an answer
                raise Unavailable
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                raise self._refusal()
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def receive_whole() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, receive_whole, send)

    def _refusal(self) -> TooLarge:
        return TooLarge(f"The body is larger than the {self._max_bytes} bytes that are accepted.")
