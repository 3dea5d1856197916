"""The factory of every HTTP API here: an ordinary function that returns an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import NoReturn

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request

from serve_apps.audit import CUSTOMER_SERVICE, AuditTrail
from serve_apps.authentication import Anonymity, Authentication
from serve_apps.frame import BodyLimit, Frame
from serve_apps.metering import Metering
from serve_apps.serving import ServingContext, opened

# Anything a capability keeps open while its replica lives; entered after the pools are open.
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_api(
    title: str,
    context: ServingContext,
    routers: Iterable[APIRouter],
    *,
    lifespan: Lifespan | None = None,
    public: bool = False,
    purpose: str = CUSTOMER_SERVICE,
) -> FastAPI:
    """Return the application of one capability: counted, framed, audited, authenticated, limited, in this order.

    Its pools open in the lifespan, so in the loop of the replica that runs it; handlers get them as `Serving`.
    `public` leaves out authentication: for sign-in alone. `lifespan` opens what the capability itself needs.
    """
    middleware = [
        Middleware(Metering, traffic=context.traffic),
        Middleware(Frame, tracing=context.tracing),
        Middleware(AuditTrail, writer=context.audit, purpose=purpose),
        Middleware(Anonymity if public else Authentication, context=context),
        Middleware(BodyLimit, max_bytes=context.settings.serve.max_body_bytes),
    ]
    app = FastAPI(
        title=title,
        openapi_url=None,  # served to nobody at run time; `app.openapi()` writes the document
        redirect_slashes=False,  # a redirect would echo the Host header
        middleware=middleware,
        exception_handlers={RequestValidationError: _pass_on, HTTPException: _pass_on},
        lifespan=_whole_life(context, lifespan),
    )
    app.state.context = context
    for router in routers:
        app.include_router(router)
    return app


def _whole_life(context: ServingContext, lifespan: Lifespan | None) -> Lifespan:
    """Return a lifespan that opens the context and then what the capability itself needs."""

    @asynccontextmanager
    async def whole_life(app: FastAPI) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(opened(context))
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            app.state.loop = asyncio.get_running_loop()
            stack.callback(delattr, app.state, "loop")
            yield

    return whole_life


def _pass_on(_request: Request, error: Exception) -> NoReturn:
    """Leave every error to the audit trail's middleware, the one place that answers them."""
    raise error
