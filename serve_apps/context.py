"""Who is on the phone: a customer's masked particulars and shopping profile in one answer."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Path
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from pydantic import BaseModel
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


@router.get("/context/{customer_id}", response_model=CustomerContext)
async def context_of(customer_id: Annotated[CustomerId, Path()], caller: Reader, serving: Serving) -> Response:
    """Return what a rep needs to know of a customer of the caller's regions."""
    caller.record(customer_ids=[customer_id])
    return Response(await find_context(serving, caller.principal, customer_id), media_type="application/json")


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
    context = serving_context(settings)

    async def answer(caller: Caller, _scope: Scope, customer_id: str) -> bytes:
        caller.record(customer_ids=[customer_id])
        return await find_context(context, caller.principal, customer_id)

    app = build_api("Customer context", context, [router])
    app.state.shortcut = Shortcut("/context/", "customer_id", "", CUSTOMER_ID, Permission.READ_CUSTOMERS, answer)
    return app
