"""A receipt by its id or by what is printed at its foot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import NotFound
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE, MAX_STORE, NaturalKey, parse_receipt_id, receipt_id
from receipts.models import Receipt, Store
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.coalescer import Coalescer
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import ServingContext, serving_context

_SQL = load_sql("serve_apps", "lookup")
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]


class ReceiptAnswer(BaseModel):
    """A whole receipt and the store it comes from."""

    receipt: Receipt
    store: Store


class NaturalKeyQuery(BaseModel):
    """What a till prints at the foot of a receipt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store_id: int = Field(ge=1, le=MAX_STORE)
    business_date: date = Field(ge=date(2000, 1, 1), le=date(2099, 12, 31))
    register_id: int = Field(ge=1, le=MAX_REGISTER)
    sequence_number: int = Field(ge=1, le=MAX_SEQUENCE)


class ReceiptRow(NamedTuple):
    """A receipt as `find_receipts` returns it: rendered documents, passed on as they are."""

    document: str
    store_document: str
    customer_id: str | None


def _lookups(request: Request) -> Coalescer[ReceiptRow]:
    return request.app.state.lookups


Lookups = Annotated[Coalescer[ReceiptRow], Depends(_lookups)]


@router.get("/{receipt_id}", response_model=ReceiptAnswer)
async def by_id(receipt_id: str, caller: Reader, lookups: Lookups) -> Response:
    """Return a receipt by its 22-digit id, with or without dashes."""
    return await _answer(parse_receipt_id(receipt_id), caller, lookups)


@router.get("/", response_model=ReceiptAnswer)
async def by_natural_key(key: Annotated[NaturalKeyQuery, Query()], caller: Reader, lookups: Lookups) -> Response:
    """Return a receipt by store, business date, register and sequence number."""
    natural = NaturalKey(key.store_id, key.register_id, key.business_date, key.sequence_number)
    return await _answer(receipt_id(natural), caller, lookups)


async def find_receipts(context: ServingContext, principal: Principal, ids: Sequence[str]) -> dict[str, ReceiptRow]:
    """Return the receipts of a principal's scope by id; an id outside the scope is absent like an unknown one."""
    async with scoped(context.pool, principal) as connection:
        cursor = await connection.execute(_SQL["find_receipts"], (list(ids),), prepare=True)
        rows = await cursor.fetchall()
    return {found: ReceiptRow(*rest) for found, *rest in rows}


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup application."""
    context = serving_context(settings)

    @asynccontextmanager
    async def coalescing(app: FastAPI) -> AsyncGenerator[None, None]:
        app.state.lookups = Coalescer[ReceiptRow](lambda principal, ids: find_receipts(context, principal, ids))
        yield

    return build_api("Receipt lookup", context, [router], lifespan=coalescing)


async def _answer(digits: str, caller: Caller, lookups: Coalescer[ReceiptRow]) -> Response:
    caller.record(receipt_ids=[digits])
    row = await lookups.find(caller.principal, digits)
    if row is None:
        raise NotFound
    if row.customer_id is not None:
        caller.record(customer_ids=[row.customer_id])
    content = b"".join((b'{"receipt":', row.document.encode(), b',"store":', row.store_document.encode(), b"}"))
    return Response(content, media_type="application/json")
