"""The short way to what is asked most: answered before the layers that all other routes need."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from receipts.access import Permission, require
from receipts.errors import Unavailable
from receipts.models import CUSTOMER_ID_PATTERN
from serve_apps.audit import CUSTOMER_SERVICE, event_of
from serve_apps.authentication import admit
from serve_apps.exchange import Caller, Exchange
from serve_apps.frame import PROTECTION, REQUEST_ID, framed, new_request_id
from serve_apps.journey import begin_journey
from serve_apps.problems import problem_response
from serve_apps.serving import ServingContext

CUSTOMER_ID = re.compile(CUSTOMER_ID_PATTERN)
_JSON = (b"content-type", b"application/json")
_BODY = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A route with one text in its path. `answer` returns the JSON for it, or raises as the route itself does.

    What has not the `shape` goes the long way, which says what is wrong with it.
    """

    before: str  # of the path below the application's prefix: "/" of "/{receipt_id}"
    name: str
    after: str
    shape: re.Pattern[str]
    permission: Permission
    answer: Callable[[Caller, Scope, str], Awaitable[bytes]]


def short_way(app: FastAPI, prefix: str, long_way: ASGIApp) -> ASGIApp:
    """Return the application's shortcut in front of the long way that leads to it, or that alone if it has none.

    `prefix` is where the application is mounted. The shortcut works while the application lives, in its event loop.
    """
    shortcut: Shortcut | None = getattr(app.state, "shortcut", None)
    return long_way if shortcut is None else ShortWay(app, prefix, shortcut, long_way)


class Passage:
    """An application without its list of routes: Serve would try them all for every request, for a metric's label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        await self._app(scope, receive, send)


class ShortWay:
    """Answers a shortcut's GET without a query or a body; passes on everything else.

    Answers, refusals and audit events are those of the long way: nothing leaves before its event is durable.
    """

    def __init__(self, app: FastAPI, prefix: str, shortcut: Shortcut, long_way: ASGIApp) -> None:
        self._state = app.state
        self._context: ServingContext = app.state.context
        self._shortcut = shortcut
        self._long_way = long_way
        self._before, self._after = prefix + shortcut.before, shortcut.after
        self._route = f"GET {self._before}{{{shortcut.name}}}{self._after}"
        self._answers = self._context.traffic.of(self._route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        text = self._asked(scope)
        if text is None:
            await self._long_way(scope, receive, send)
            return
        began = time.perf_counter()
        journey = begin_journey(self._context.tracing, scope)
        exchange = Exchange(new_request_id(), journey, route=self._route)
        content, problem, status = b"", None, 200
        try:
            principal = await admit(scope, exchange, self._context)
            require(principal, self._shortcut.permission)
            journey.enter("answer")
            content = await self._shortcut.answer(Caller(principal, exchange), scope, text)
            journey.enter("limits")
            await self._context.limits.disclose(exchange)
        except Exception as error:  # noqa: BLE001 - whatever failed, the caller gets a problem and the trail its event
            problem = problem_response(error, exchange.request_id, scope)
            status = problem.status_code
            journey.fail(error)
        if not exchange.is_recorded:
            journey.enter("audit")
            try:
                await self._context.audit.record(event_of(exchange, scope, status, CUSTOMER_SERVICE))
            except Unavailable as error:
                problem = problem_response(error, exchange.request_id, scope)
                status = problem.status_code
        self._answers.add(status, time.perf_counter() - began)
        journey.enter("send")
        if problem is None:
            await _send_json(send, content, exchange.request_id)
        else:
            await problem(scope, receive, framed(send, exchange.request_id))
        journey.end(self._route, exchange.request_id, status)

    def _asked(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return None
        before, after = self._before, self._after
        path: str = scope["path"]
        text = path[len(before) : len(path) - len(after)]
        if not (self._shortcut.shape.fullmatch(text) and path.startswith(before) and path.endswith(after)):
            return None
        if any(name in _BODY for name, _ in scope["headers"]):
            return None
        lives_here = getattr(self._state, "loop", None) is asyncio.get_running_loop()  # pools belong to one loop
        return text if lives_here else None


async def _send_json(send: Send, content: bytes, request_id: str) -> None:
    length = (b"content-length", str(len(content)).encode())
    headers = [_JSON, length, *PROTECTION, (REQUEST_ID, request_id.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
