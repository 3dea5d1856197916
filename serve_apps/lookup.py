"""A receipt by its id or by what is printed at its foot."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import date
from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from configs.settings import Settings
from receipts.access import Permission
from receipts.database import DatabaseRole, open_connection
from receipts.errors import NotFound
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE, MAX_STORE, NaturalKey, parse_receipt_id, receipt_id
from serve_apps import batch, timeline
from serve_apps.api import build_api
from serve_apps.audit import CUSTOMER_SERVICE, event_so_far
from serve_apps.batch import ReceiptAnswer
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.recorded_lookups import RecordedLookups, recorded_lookups
from serve_apps.serving import serving_context
from serve_apps.short_way import Shortcut

_TYPED = re.compile(r"[0-9-]{22,30}")  # nearly all that is typed or scanned
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]


class NaturalKeyQuery(BaseModel):
    """What a till prints at the foot of a receipt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store_id: int = Field(ge=1, le=MAX_STORE)
    business_date: date = Field(ge=date(2000, 1, 1), le=date(2099, 12, 31))
    register_id: int = Field(ge=1, le=MAX_REGISTER)
    sequence_number: int = Field(ge=1, le=MAX_SEQUENCE)


def _lookups(request: Request) -> RecordedLookups:
    return request.app.state.lookups


Lookups = Annotated[RecordedLookups, Depends(_lookups)]


@router.get("/{receipt_id}", response_model=ReceiptAnswer)
async def by_id(receipt_id: str, request: Request, caller: Reader, lookups: Lookups) -> Response:
    """Return a receipt by its 22-digit id, with or without dashes."""
    return Response(await _find(lookups, caller, request.scope, receipt_id), media_type="application/json")


@router.get("/", response_model=ReceiptAnswer)
async def by_natural_key(
    key: Annotated[NaturalKeyQuery, Query()], request: Request, caller: Reader, lookups: Lookups
) -> Response:
    """Return a receipt by store, business date, register and sequence number."""
    natural = NaturalKey(key.store_id, key.register_id, key.business_date, key.sequence_number)
    found = await _find(lookups, caller, request.scope, receipt_id(natural))
    return Response(found, media_type="application/json")


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup application."""
    context = serving_context(settings, application="lookup")
    lookups = recorded_lookups(partial(open_connection, settings, DatabaseRole.API))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        async with aclosing(lookups):
            yield

    app = build_api("Receipt lookup", context, [batch.router, router, timeline.router], lifespan=lifespan)
    app.state.lookups = context.questions["lookup"] = lookups
    app.state.shortcut = Shortcut("/", "receipt_id", "", _TYPED, Permission.READ_RECEIPTS, partial(_find, lookups))
    return app


async def _find(lookups: RecordedLookups, caller: Caller, scope: Scope, text: str) -> bytes:
    """Return the rendered answer for an id as typed; the look is on record then, also one that found nothing."""
    digits = parse_receipt_id(text)
    caller.record(receipt_ids=[digits])
    event = orjson.dumps(event_so_far(caller.exchange, scope, CUSTOMER_SERVICE))[:-1]
    found = await lookups.find(caller.principal.scope_id, digits, event)
    caller.exchange.is_recorded = True
    if found is None:
        raise NotFound
    if found.customer_id is not None:
        caller.record(customer_ids=[found.customer_id])
    return found.body
