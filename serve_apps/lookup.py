"""A receipt by its id or by what is printed at its foot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Query
from psycopg import AsyncConnection
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
from serve_apps.scoped import CONNECTION_S
from serve_apps.serving import serving_context
from serve_apps.short_way import Shortcut

_SQL = load_sql("serve_apps", "lookup")
_TYPED = re.compile(r"[0-9-]{22,30}")  # nearly all that is typed or scanned
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


Lookup = Coalescer[AsyncConnection[Any], ReceiptRow]


def _lookup(request: Request) -> Lookup:
    return request.app.state.lookups


Lookups = Annotated[Lookup, Depends(_lookup)]


@router.get("/{receipt_id}", response_model=ReceiptAnswer)
async def by_id(receipt_id: str, caller: Reader, lookups: Lookups) -> Response:
    """Return a receipt by its 22-digit id, with or without dashes."""
    return Response(await _render(lookups, caller, parse_receipt_id(receipt_id)), media_type="application/json")


@router.get("/", response_model=ReceiptAnswer)
async def by_natural_key(key: Annotated[NaturalKeyQuery, Query()], caller: Reader, lookups: Lookups) -> Response:
    """Return a receipt by store, business date, register and sequence number."""
    natural = NaturalKey(key.store_id, key.register_id, key.business_date, key.sequence_number)
    return Response(await _render(lookups, caller, receipt_id(natural)), media_type="application/json")


async def find_receipts(
    connection: AsyncConnection[Any], principal: Principal, ids: Sequence[str]
) -> dict[str, ReceiptRow]:
    """Return the receipts of a principal's scope by id; an id outside the scope is absent like an unknown one."""
    cursor = await connection.execute(_SQL["find_receipts"], (principal.scope_id, ids), prepare=True)
    rows = await cursor.fetchall()
    return {found: ReceiptRow(*rest) for found, *rest in rows}


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup application."""
    context = serving_context(settings)
    lookups = Lookup(partial(context.pool.connection, timeout=CONNECTION_S), find_receipts)

    async def answer(caller: Caller, text: str) -> bytes:
        return await _render(lookups, caller, parse_receipt_id(text))

    shortcut = Shortcut("/", "receipt_id", "", _TYPED, Permission.READ_RECEIPTS, answer)
    app = build_api("Receipt lookup", context, [router])
    app.state.shortcut = shortcut
    app.state.lookups = lookups
    return app


async def _render(lookups: Lookup, caller: Caller, digits: str) -> bytes:
    caller.record(receipt_ids=[digits])
    row = await lookups.find(caller.principal, digits)
    if row is None:
        raise NotFound
    if row.customer_id is not None:
        caller.record(customer_ids=[row.customer_id])
    return f'{{"receipt":{row.document},"store":{row.store_document}}}'.encode()
