"""The frame around every request: its id, its size limit, and the headers that keep answers out of caches."""

from __future__ import annotations

from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receipts.errors import TooLarge, Unavailable
from serve_apps.exchange import begin_exchange

_ID = b"x-request-id"
_HEADERS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-frame-options": b"DENY",
}


class Frame:
    """Gives each request an id of ours (a client's is not trusted) and each answer its protective headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex
        begin_exchange(scope, request_id)
        if scope["path"] == scope.get("root_path"):  # /receipt means /receipt/
            scope["path"] += "/"

        async def send_framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, value) for name, value in message["headers"] if name != _ID]
                names = {name for name, _ in given}
                missing = [(name, value) for name, value in _HEADERS.items() if name not in names]
                message["headers"] = [*given, *missing, (_ID, request_id.encode())]
            await send(message)

        await self._app(scope, receive, send_framed)


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
