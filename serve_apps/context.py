"""Who is on the phone: a customer's masked particulars and shopping profile in one answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import date
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, FastAPI, Path
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import NotFound
from receipts.models import CustomerId
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.short_way import CUSTOMER_ID, Shortcut
from serve_apps.summarising import Summariser

_SQL = load_sql("serve_apps", "context")
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_CUSTOMERS))]


class CustomerCard(BaseModel):
    """A customer without clear contact data."""

    customer_id: str
    first_name: str
    last_name: str
    email_masked: str
    phone_masked: str
    city: str
    customer_since: date


class CustomerContext(BaseModel):
    """A customer and the profile of Gold `customer_profiles`, or null while there is none."""

    customer: CustomerCard
    profile: dict[str, Any] | None


class CustomerSummary(BaseModel):
    """How a customer shops, in words: of a language model where one is set up and answered, else of the profile."""

    customer_id: str
    source: Literal["model", "pattern"]
    text: str | None


def _summariser(request: Request) -> Summariser:
    return request.app.state.summariser


@router.get("/context/{customer_id}", response_model=CustomerContext)
async def context_of(customer_id: Annotated[CustomerId, Path()], caller: Reader, serving: Serving) -> Response:
    """Return what a rep needs to know of a customer of the caller's regions."""
    caller.record(customer_ids=[customer_id])
    return Response(await find_context(serving, caller.principal, customer_id), media_type="application/json")


@router.get("/context/{customer_id}/summary")
async def summary_of(
    customer_id: Annotated[CustomerId, Path()],
    caller: Reader,
    serving: Serving,
    summariser: Annotated[Summariser, Depends(_summariser)],
) -> CustomerSummary:
    """Return how a customer of the caller's regions shops, in words; `text` is null before the first purchase."""
    found = orjson.loads(await find_context(serving, caller.principal, customer_id))
    profile: dict[str, Any] = found["profile"] or {}
    written = await summariser.summarise(profile) if profile else None
    source = "pattern" if written is None else "model"
    caller.record(customer_ids=[customer_id], constraints={"source": source})
    return CustomerSummary(customer_id=customer_id, source=source, text=written or profile.get("recent_pattern"))


async def find_context(context: ServingContext, principal: Principal, customer_id: str) -> bytes:
    """Return the rendered context of a customer; the profile's document is passed on as it is. Raises NotFound."""

    async def read(connection: AsyncConnection[Any]) -> dict[str, Any] | None:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(_SQL["find_context"], (principal.scope_id, customer_id), prepare=True)
        return await cursor.fetchone()

    row = await context.reads.find(read)
    if row is None:
        raise NotFound
    profile = row.pop("document")
    return orjson.dumps({"customer": row, "profile": orjson.Fragment(profile) if profile else None})


def build_app(settings: Settings) -> FastAPI:
    """Return the customer context application."""
    context = serving_context(settings, application="context")

    async def answer(caller: Caller, _scope: Scope, customer_id: str) -> bytes:
        caller.record(customer_ids=[customer_id])
        return await find_context(context, caller.principal, customer_id)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with aclosing(Summariser(settings.summary)) as app.state.summariser:
            yield

    app = build_api("Customer context", context, [router], lifespan=lifespan)
    app.state.shortcut = Shortcut("/context/", "customer_id", "", CUSTOMER_ID, Permission.READ_CUSTOMERS, answer)
    return app
