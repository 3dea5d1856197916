"""No answer leaves before its audit event is durable: the middleware that holds answers back."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receipts.errors import Unavailable
from serve_apps.audit_writer import AuditEvent, AuditWriter
from serve_apps.exchange import Exchange, exchange_of
from serve_apps.problems import log_failure, problem_response
from serve_apps.streaming import pour

ANONYMOUS = "anonymous"
CUSTOMER_SERVICE = "customer_service"  # the purpose of nearly all that is asked
_OUTCOMES = {404: "not_found", 401: "refused", 403: "refused", 429: "refused"}


class AuditTrail:
    """Collects the whole answer, has its event written, and only then lets it go.

    Every error that the application raises becomes its problem document here, so that refusals and failures
    are in the trail like answers. Without the trail the answer is a 503 and what was collected is dropped. Of an
    answer too long to collect, the body has not even begun until then.
    """

    def __init__(self, app: ASGIApp, writer: AuditWriter, purpose: str) -> None:
        self._app = app
        self._writer = writer
        self._purpose = purpose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        answer = await self._answer(scope, receive, exchange)
        try:
            if not exchange.is_recorded:
                exchange.journey.enter("audit")
                await self._writer.record(event_of(exchange, scope, answer[0]["status"], self._purpose))
        except Unavailable as error:
            await problem_response(error, exchange.request_id, scope)(scope, receive, send)
            return
        for message in answer:
            await send(message)
        if exchange.body is not None:
            exchange.journey.enter("stream")
            try:
                await pour(exchange.body, receive, send)
            except Exception as error:  # noqa: BLE001 - the head has left: an answer that does not end tells the caller
                exchange.journey.fail(error)
                log_failure(error, exchange.request_id)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> list[Message]:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(scope, receive, hold)
        except Exception as error:  # noqa: BLE001 - whatever failed, the caller gets a problem and the trail its event
            held.clear()
            exchange.body = None
            exchange.journey.fail(error)
            await problem_response(error, exchange.request_id, scope)(scope, receive, hold)
        return held


def event_so_far(exchange: Exchange, scope: Scope, purpose: str) -> AuditEvent:
    """Return what the trail says of a request before it is known what comes of it."""
    who = exchange.principal
    return {
        "occurred_at": datetime.now(UTC),
        "principal_id": who.principal_id if who else ANONYMOUS,
        "role": who.role.value if who else ANONYMOUS,
        "session_id": who.session_id if who else "",
        "route": exchange.route or route_of(scope),
        "purpose": purpose,
        "client_address": exchange.address or _address(scope),
        "request_id": exchange.request_id,
    }


def event_of(exchange: Exchange, scope: Scope, status: int, purpose: str) -> AuditEvent:
    """Return what the trail says of a request and what came of it."""
    event = event_so_far(exchange, scope, purpose)
    event["outcome"] = outcome(status)
    event["status"] = status
    event["receipt_ids"] = list(dict.fromkeys(exchange.receipt_ids))
    event["customer_ids"] = list(dict.fromkeys(exchange.customer_ids))
    if exchange.constraints:
        event["constraints"] = exchange.constraints
    return event


def outcome(status: int) -> str:
    """Return the trail's word for an HTTP status."""
    if status < 400:
        return "answered"
    return _OUTCOMES.get(status, "invalid" if status < 500 else "failed")


def route_of(scope: Scope) -> str:
    """Return method and route pattern; never the path itself, in which anything may stand."""
    route = scope.get("route")
    pattern = getattr(route, "path", None)
    method = scope["method"] if scope["method"] in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} else "OTHER"
    prefix = scope.get("root_path", "")
    return f"{method} {prefix}{pattern}" if pattern else f"{method} {prefix or '/'} (no route reached)"


def _address(scope: Scope) -> str:
    """Return the peer's address; marked when a forwarding header, which anyone may send, can have changed it."""
    host = (scope.get("client") or ("", 0))[0][:45]  # 45: the longest textual IPv6 address
    if not (host.isascii() and host.isprintable()):  # as a header can make it: a NUL in it could never be read again
        host = "unreadable"
    forwarded = any(name in {b"x-forwarded-for", b"forwarded"} for name, _ in scope["headers"])
    return f"unverified:{host}" if forwarded else host
