"""What a route needs: one permission, declared where the route is."""

from __future__ import annotations

from typing import NoReturn

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request

from receipts.access import Permission, require
from receipts.errors import InvalidInput, NotFound, Unauthenticated
from serve_apps.exchange import Caller, exchange_of
from serve_apps.problems import names_of
from serve_apps.serving import ServingContext


class Guard:
    """A FastAPI dependency that permits a caller or raises Forbidden."""

    def __init__(self, permission: Permission, *, counted: bool = True) -> None:
        self.permission = permission
        self._counted = counted

    async def __call__(self, request: Request) -> Caller:
        """Return the permitted caller. Raises InvalidInput for a query parameter the route does not take.

        It never waits but for the limits of what is sensitive; as a coroutine it needs no thread of FastAPI's.
        """
        exchange = exchange_of(request.scope)
        if exchange.principal is None:
            raise Unauthenticated
        require(exchange.principal, self.permission)
        refuse_unknown_parameters(request)
        exchange.permission = self.permission
        if self._counted:
            context: ServingContext = request.app.state.context
            await context.limits.admit_to(exchange.principal, self.permission)
        return Caller(exchange.principal, exchange)


def guard(permission: Permission, *, counted: bool = True) -> Guard:
    """Return the dependency that a route declares: `Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]`.

    What only looks at, or takes back, what a sensitive permission brought about is not `counted` against its limit.
    """
    return Guard(permission, counted=counted)


def refuse_unknown_parameters(request: Request) -> None:
    """Raise InvalidInput naming a query parameter that the route does not take, or that is given twice."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        raise NotFound
    accepted: set[str] = set()
    for parameter in route.dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            accepted |= names_of(model)
        else:
            accepted.add(parameter.alias)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in accepted:
            _refuse(name, f"is not a parameter here; accepted: {', '.join(sorted(accepted)) or 'none'}.")
        if name in seen:
            _refuse(name, "is given more than once.")
        seen.add(name)


def _refuse(name: str, problem: str) -> NoReturn:
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:60])
    raise InvalidInput(shown, problem)
