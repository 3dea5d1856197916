"""A customer's receipts, the newest first, page by page."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import APIRouter, Depends, FastAPI, Path, Query
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response
from starlette.types import Scope

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import NotFound
from receipts.models import CustomerId
from receipts.sql import load_sql
from serve_apps import contacts
from serve_apps.api import build_api
from serve_apps.cursors import START, Place, encode_cursor, parse_cursor
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.short_way import CUSTOMER_ID, Shortcut
from serve_apps.summaries import ReceiptSummary, SummaryRow, facts

_SQL = load_sql("serve_apps", "history")
_MOST = 100  # receipts on one page
_USUAL = 20
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]


class History(BaseModel):
    """One page of a customer's receipts; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    customer_id: str
    receipts: list[ReceiptSummary]
    next_cursor: str | None


class _Page(NamedTuple):
    body: bytes  # the JSON of a History
    receipt_ids: list[str]


@router.get("/{customer_id}/receipts", response_model=History)
async def receipts_of(
    customer_id: Annotated[CustomerId, Path()],
    caller: Reader,
    serving: Serving,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _USUAL,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return a page of the receipts of a customer that lie in the caller's regions."""
    place = parse_cursor(cursor) if cursor else START
    return Response(await _show(serving, caller, customer_id, limit, place), media_type="application/json")


async def _show(context: ServingContext, caller: Caller, customer_id: str, limit: int, before: Place) -> bytes:
    """Return a page for a caller, and record whose and which receipts it shows."""
    caller.record(customer_ids=[customer_id], constraints={"limit": limit})
    page = await _list_receipts(context, caller.principal, customer_id, limit, before)
    caller.record(receipt_ids=page.receipt_ids)
    return page.body


async def _list_receipts(
    context: ServingContext, principal: Principal, customer_id: str, limit: int, before: Place
) -> _Page:
    """Return at most `limit` receipts before a place.

    Raises NotFound when the scope holds neither the customer nor one of the customer's receipts there.
    """
    wanted = {
        "scope": principal.scope_id,
        "customer_id": customer_id,
        "before_at": before.purchased_at,
        "before_id": before.receipt_id,
        "rows": limit + 1,  # one more than shown tells whether there is a next page
    }

    async def read(connection: AsyncConnection[Any]) -> list[tuple[Any, ...]]:
        listing = await connection.execute(_SQL["list_receipts"], wanted, prepare=True)
        return await listing.fetchall()

    # A customer without receipts may have one since a moment ago.
    rows = await context.reads.find(read, before.position, lambda rows: any(row[0] is not None for row in rows))
    if not rows:
        raise NotFound
    shown = [row for row in rows[:limit] if row[0] is not None]
    last = Place(*shown[-1][4:]) if len(rows) > limit else None
    answer = {
        "customer_id": customer_id,
        "receipts": [facts(SummaryRow(*row[:4])) for row in shown],
        "next_cursor": encode_cursor(last) if last else None,
    }
    return _Page(orjson.dumps(answer), [row[5] for row in shown])


def build_app(settings: Settings) -> FastAPI:
    """Return the customer history application."""
    context = serving_context(settings, application="customers")

    async def answer(caller: Caller, _scope: Scope, customer_id: str) -> bytes:
        return await _show(context, caller, customer_id, _USUAL, START)

    app = build_api("Customer history", context, [router, contacts.router])
    app.state.shortcut = Shortcut("/", "customer_id", "/receipts", CUSTOMER_ID, Permission.READ_RECEIPTS, answer)
    return app
