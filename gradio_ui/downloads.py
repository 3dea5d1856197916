"""What is taken away as a file: passed on from the API as it comes, at the memory of one piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from uuid import UUID

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gradio_ui import render
from gradio_ui.api import ApiProblem
from gradio_ui.auth import sign_in_url
from gradio_ui.doorway import portal_of, require
from receipts.access import Permission
from receipts.errors import Forbidden, Unauthenticated

_FILTERS = ("principal_id", "customer_id", "receipt_id", "route", "outcome", "date_from", "date_to")
_PASSED_ON = ("content-type", "content-disposition")


async def export(request: Request) -> Response:
    """Pass an export on to the person who prepared it."""
    try:
        export_id = UUID(request.path_params["export_id"])
    except ValueError:
        return HTMLResponse(render.page("There is no such export", "Its address is not complete."), 404)
    return await _passed_on(request, Permission.EXPORT_RECEIPTS, "/export/receipts/{export_id}/file", str(export_id))


async def trail(request: Request) -> Response:
    """Pass on the events of the audit trail that fit the filters of the page."""
    wanted = {name: request.query_params[name] for name in _FILTERS if request.query_params.get(name)}
    first, last = wanted.pop("date_from", None), wanted.pop("date_to", None)
    days = {"from": f"{first}T00:00:00Z" if first else None, "to": f"{last}T23:59:59.999999Z" if last else None}
    return await _passed_on(request, Permission.READ_AUDIT, "/audit/log", format="csv", **days, **wanted)


ROUTES = (Route("/export/{export_id}", export), Route("/audit.csv", trail))


async def _passed_on(request: Request, permission: Permission, route: str, *ids: str, **parameters: object) -> Response:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return HTMLResponse(render.page("Not from elsewhere", "Downloads begin on the page they belong to."), 403)
    try:
        session = await require(request, permission)
    except Unauthenticated:
        return RedirectResponse(sign_in_url("/"), 303)
    except Forbidden as error:
        return HTMLResponse(render.page("Not permitted", str(error)), 403)
    stack = AsyncExitStack()
    try:
        stream = portal_of(request).api.of(session).stream(route, *ids, **parameters)
        answer = await stack.enter_async_context(stream)
    except ApiProblem as problem:
        return HTMLResponse(render.page("That cannot be downloaded", problem.detail), problem.status)
    headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
    return StreamingResponse(_pieces(answer, stack), headers=headers)


async def _pieces(answer: httpx.Response, stack: AsyncExitStack) -> AsyncGenerator[bytes]:
    """Yield the file piece by piece; whoever hangs up ends the question as well."""
    async with stack:
        async for piece in answer.aiter_bytes():
            yield piece
