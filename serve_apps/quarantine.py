"""The quarantine desk for administrators: refused records, and orders what to do with them.

Only ingest validates and writes records, so an order is written down here and performed by a gateway a moment later.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query
from psycopg.rows import class_row
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from receipts.access import Permission, Principal
from receipts.card_numbers import contains_card_number
from receipts.errors import InvalidInput, NotFound
from receipts.identity import parse_receipt_id
from receipts.models import CustomerId
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext

_SQL = load_sql("serve_apps", "quarantine")
_MOST = 100  # refusals on one page
_NEWEST = 2**63 - 1  # before every number that Postgres gives
_CUSTOMER_ID: TypeAdapter[str] = TypeAdapter(CustomerId)
_NAMED: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
router = APIRouter(prefix="/quarantine")
Operator = Annotated[Caller, Depends(guard(Permission.OPERATE))]
Id = Annotated[int, Path(ge=1, lt=_NEWEST)]


class Refusal(BaseModel):
    """One refused record. Card numbers in it were destroyed before it was held."""

    model_config = ConfigDict(frozen=True)

    quarantine_id: int
    bronze_table: str
    received_at: datetime
    source: str
    state: str
    kind: str
    reason: str
    missing_store_id: int | None
    accepted_key: str | None


class HeldRecord(Refusal):
    """A refused record with its text, which may be anything and may hold personal data."""

    payload: str


class Refusals(BaseModel):
    """One page of refused records; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    refusals: list[Refusal]
    next_cursor: int | None


class Wanted(BaseModel):
    """Which refused records are listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["held", "replayed", "fixed", "dismissed"] | None = None
    kind: Annotated[str | None, Query(pattern=r"^[a-z_]{1,30}$")] = None
    bronze_table: Annotated[str | None, Query(pattern=r"^bronze\.[a-z]{1,30}$")] = None
    since: AwareDatetime | None = None
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 20
    cursor: Annotated[int, Query(ge=1, le=_NEWEST)] = _NEWEST


class Wish(BaseModel):
    """What is to be done. `payload` is the whole corrected record, with `fix` only."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    action: Literal["replay", "fix", "dismiss"]
    payload: dict[str, Any] | None = None


class Order(BaseModel):
    """An order: `outcome` is null while it waits, then 'accepted', 'dismissed', or why it is still refused."""

    model_config = ConfigDict(frozen=True)

    order_id: int
    quarantine_id: int
    action: str
    ordered_by: str
    ordered_at: datetime
    done_at: datetime | None
    outcome: str | None


@router.get("/")
async def refused(wanted: Annotated[Wanted, Query()], caller: Operator, serving: Serving) -> Refusals:
    """Return a page of refused records."""
    caller.record(constraints=wanted.model_dump(mode="json", exclude_none=True))
    return await list_refusals(serving, caller.principal, wanted)


@router.get("/orders/{order_id}")
async def ordered(order_id: Id, caller: Operator, serving: Serving) -> Order:
    """Return what became of an order."""
    caller.record(constraints={"order_id": order_id})
    return await find_order(serving, caller.principal, order_id)


@router.get("/{quarantine_id}")
async def shown(quarantine_id: Id, caller: Operator, serving: Serving) -> HeldRecord:
    """Return one refused record with its text."""
    caller.record(constraints={"quarantine_id": quarantine_id})
    found = await find_refusal(serving, caller.principal, quarantine_id)
    _record_ids(caller, found.payload)
    return found


@router.post("/{quarantine_id}/orders", status_code=202)
async def order(quarantine_id: Id, wish: Wish, caller: Operator, serving: Serving) -> Order:
    """Order that a refused record be replayed, corrected or dismissed."""
    caller.record(constraints={"quarantine_id": quarantine_id, "action": wish.action})
    made = await record_order(serving, caller.principal, quarantine_id, wish)
    caller.record(constraints={"order_id": made.order_id})
    return made


async def list_refusals(context: ServingContext, principal: Principal, wanted: Wanted) -> Refusals:
    """Return at most `limit` refusals before the cursor."""
    params = wanted.model_dump(exclude={"limit", "cursor"}) | {"before": wanted.cursor, "rows": wanted.limit + 1}
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(Refusal))
        rows = await (await cursor.execute(_SQL["list_refusals"], params)).fetchall()
    shown = rows[: wanted.limit]
    return Refusals(refusals=shown, next_cursor=shown[-1].quarantine_id if len(rows) > wanted.limit else None)


async def find_refusal(context: ServingContext, principal: Principal, quarantine_id: int) -> HeldRecord:
    """Return one refusal. Raises NotFound."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(HeldRecord))
        found = await (await cursor.execute(_SQL["find_refusal"], {"quarantine_id": quarantine_id})).fetchone()
    if found is None:
        raise NotFound
    return found


async def record_order(context: ServingContext, principal: Principal, quarantine_id: int, wish: Wish) -> Order:
    """Write an order down. Raises NotFound, and InvalidInput for a payload where none or no such one belongs."""
    if (wish.action == "fix") != (wish.payload is not None):
        raise InvalidInput("payload", "the corrected record belongs to the action fix, and to no other")
    payload = None if wish.payload is None else orjson.dumps(wish.payload).decode()
    if payload is not None and contains_card_number(payload):
        raise InvalidInput("payload", "holds a full card number, which is never accepted")
    params = {"quarantine_id": quarantine_id, "action": wish.action, "payload": payload}
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(Order))
        await cursor.execute(_SQL["record_order"], params | {"ordered_by": principal.principal_id})
        made = await cursor.fetchone()
    if made is None:
        raise NotFound
    return made


async def find_order(context: ServingContext, principal: Principal, order_id: int) -> Order:
    """Return an order. Raises NotFound."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(Order))
        found = await (await cursor.execute(_SQL["find_order"], {"order_id": order_id})).fetchone()
    if found is None:
        raise NotFound
    return found


def _record_ids(caller: Caller, payload: str) -> None:
    """Tell the audit trail which receipt and customer a refused text names, where it names them well."""
    with contextlib.suppress(orjson.JSONDecodeError, ValidationError):
        named = _NAMED.validate_python(orjson.loads(payload))
        with contextlib.suppress(InvalidInput):
            caller.record(receipt_ids=[parse_receipt_id(str(named.get("receipt_id")))])
        with contextlib.suppress(ValidationError):
            caller.record(customer_ids=[_CUSTOMER_ID.validate_python(named.get("customer_id"), strict=True)])
