"""Errors as the caller sees them: RFC 9457 problem details, from the one table of errors and statuses."""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import psycopg
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from receipts import errors

log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[^\x20-\x7e]")


class Kind(NamedTuple):
    """How one kind of error is answered."""

    status: int
    name: str
    title: str
    headers: Mapping[str, str] = MappingProxyType({})


_UNAVAILABLE = Kind(503, "unavailable", "Not available at the moment", {"Retry-After": "1"})
_FAILED = Kind(500, "failed", "The request failed")

# The one table. An error not found here, nor any class it derives from, is a failure of ours: 500, without its text.
KINDS: dict[type[Exception], Kind] = {
    errors.InvalidInput: Kind(422, "invalid-input", "The input is not acceptable"),
    RequestValidationError: Kind(422, "invalid-input", "The input is not acceptable"),
    errors.NotFound: Kind(404, "not-found", "Not found"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "Sign-in is needed", {"WWW-Authenticate": "Bearer"}),
    errors.Forbidden: Kind(403, "forbidden", "Not permitted"),
    errors.Conflict: Kind(409, "conflict", "Not possible any more"),
    errors.LimitReached: Kind(429, "quota-exceeded", "Too much at once"),
    errors.TooLarge: Kind(413, "too-large", "The request is too large"),
    errors.Unavailable: _UNAVAILABLE,
    psycopg.OperationalError: _UNAVAILABLE,  # connection lost, pool exhausted, statement timed out
    psycopg.InterfaceError: _UNAVAILABLE,
}
_HTTP = {
    400: Kind(400, "malformed", "The request is malformed"),
    404: Kind(404, "no-such-route", "There is no such route"),
    405: Kind(405, "no-such-method", "The route does not take this method"),
}


class Problem(NamedTuple):
    """A problem before it is rendered."""

    kind: Kind
    detail: str
    field: str | None = None
    accepted: str | None = None


def problem_response(error: Exception, request_id: str, scope: Scope) -> Response:
    """Return the answer to an error; what nobody foresaw is logged by place and type, never by its text."""
    problem = _problem(error, scope)
    if problem.kind.status >= 500:
        log_failure(error, request_id)
    body: dict[str, object] = {
        "type": f"urn:receipts:problem:{problem.kind.name}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "field": problem.field,
        "accepted": problem.accepted,
        "request_id": request_id,
    }
    headers = dict(problem.kind.headers)
    if isinstance(error, HTTPException) and error.headers:
        headers |= dict(error.headers)
    if isinstance(error, errors.LimitReached):
        headers |= _limit_headers(error)
        body["violated-policies"] = [error.limit]
    if isinstance(error, errors.Unauthenticated) and error.args:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    content = orjson.dumps({key: value for key, value in body.items() if value is not None})
    return Response(content, problem.kind.status, headers, media_type="application/problem+json")


def log_failure(error: Exception, request_id: str) -> None:
    """Say where and what failed. The text of an error may quote a customer's data, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames[-6:]))
    state = getattr(error, "sqlstate", None)
    log.error("request %s failed: %s sqlstate=%s at %s", request_id, type(error).__name__, state, place)


def _limit_headers(error: errors.LimitReached) -> dict[str, str]:
    """Return when to ask again (RFC 9110) and what is allowed (draft-ietf-httpapi-ratelimit-headers-11)."""
    wait_s = max(math.ceil(error.wait_s), 1)
    return {
        "Retry-After": str(wait_s),
        "RateLimit-Policy": f'"{error.limit}";q={error.allowed};w={error.window_s}',
        "RateLimit": f'"{error.limit}";r=0;t={wait_s}',
    }


def _problem(error: Exception, scope: Scope) -> Problem:
    kind = next((KINDS[t] for t in type(error).__mro__ if t in KINDS), _FAILED)
    if isinstance(error, errors.InvalidInput):
        return Problem(kind, f"{error.field}: {error.problem}", field=error.field)
    if isinstance(error, RequestValidationError):
        return _of_validation(error.errors(), kind, scope)
    if isinstance(error, errors.ReceiptsError):
        return Problem(kind, str(error) or (type(error).__doc__ or kind.title))
    if isinstance(error, HTTPException):
        kind = _HTTP.get(error.status_code, Kind(error.status_code, "refused", "The request is refused"))
        return Problem(kind, f"{kind.title}.")
    if kind is _UNAVAILABLE:
        return Problem(kind, errors.Unavailable.__doc__ or kind.title)
    return Problem(kind, "The request failed on our side; quote the request_id when you report it.")


def _of_validation(found: Sequence[Any], kind: Kind, scope: Scope) -> Problem:
    """Name the first wrong field and what is accepted there, never the value that stood in it."""
    first = found[0]
    where = [str(part) for part in first["loc"]]
    field = _printable(".".join(where[1:]) or where[0])
    if first["type"] == "json_invalid":
        return Problem(_HTTP[400], "The body is no valid JSON.", field="body", accepted="a JSON object")
    if first["type"] == "extra_forbidden":
        accepted = ", ".join(_known_fields(scope, where[0], where[1:-1]))
        return Problem(kind, f"{field} is not a field here.", field, accepted or "no field of this name")
    if first["type"] == "missing":
        return Problem(kind, f"{field} is missing.", field, "a value: the field is required")
    # Pydantic speaks of its parser where a date is wrong; whoever typed it wants to know how to write one.
    is_date = first["type"].startswith("date_")
    accepted = "a date as YYYY-MM-DD" if is_date else first["msg"].removeprefix("Value error, ")
    return Problem(kind, f"{field} is not {accepted}." if is_date else f"{field}: {accepted}.", field, accepted)


def _known_fields(scope: Scope, part: str, path: Sequence[str]) -> list[str]:
    """List the fields that the route's model of a query or body takes at a path."""
    route = scope.get("route")
    if not isinstance(route, APIRoute):
        return []
    params = route.dependant.body_params if part == "body" else route.dependant.query_params
    model = params[0].field_info.annotation if params else None
    for name in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel) and name in model.model_fields):
            return []
        model = model.model_fields[name].annotation
    return sorted(names_of(model)) if isinstance(model, type) and issubclass(model, BaseModel) else []


def names_of(model: type[BaseModel]) -> set[str]:
    """Return what the fields of a model are called where it is sent: `from` cannot be a field's name in Python."""
    return {field.alias or name for name, field in model.model_fields.items()}


def _printable(text: str) -> str:
    return _CONTROL.sub("?", text)[:60]
