"""What happened to a receipt: sold, received, refined, returned, mailed, and opened by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, get_args

from fastapi import APIRouter, Depends
from psycopg import AsyncConnection
from psycopg.rows import class_row, kwargs_row
from pydantic import BaseModel, ConfigDict

from receipts.access import Permission, Principal
from receipts.errors import NotFound
from receipts.identity import natural_key, parse_receipt_id
from receipts.money import format_cents
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scope
from serve_apps.serving import Serving, ServingContext

_SQL = load_sql("serve_apps", "timeline")
_MOST = 20  # returns, and people's days with a look: more is a matter for the audit trail
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]
Happening = Literal["sold", "received", "refined", "returned", "mailed", "viewed"]
_ORDER = get_args(Happening)  # of what happened in one instant


class Event(BaseModel):
    """Something that happened. `by` is who stood at the till or looked; `receipt_id` names another receipt.

    A person's looks of one day of the store are one event: `at` is the last, `times` how many.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    kind: Happening
    by: str | None
    detail: str | None
    receipt_id: str | None = None
    times: int = 1


class Return(BaseModel):
    """A return that names the receipt as what was returned; its total is below zero."""

    model_config = ConfigDict(frozen=True)

    receipt_id: str
    purchased_at: datetime
    total_cents: int
    currency: str


class Timeline(BaseModel):
    """A receipt's story, the oldest first; of other receipts only those of the caller's regions are told.

    `original_receipt_id` is what a return says was returned, also where there is no such receipt.
    """

    model_config = ConfigDict(frozen=True)

    receipt_id: str
    events: list[Event]
    original_receipt_id: str | None
    returns: list[Return]


class Printed(NamedTuple):
    """A receipt as a till printed it."""

    receipt_id: str
    receipt_type: str
    purchased_at: datetime
    total_cents: int
    currency: str
    operator_id: str | None
    customer_id: str | None
    original_receipt_id: str | None
    store_name: str


class Story(NamedTuple):
    """A receipt, the others that belong to it, and what was done with it since it was printed."""

    own: Printed
    others: Sequence[Printed]
    handled: Sequence[Event]


@router.get("/{receipt_id}/timeline")
async def timeline(receipt_id: str, caller: Reader, serving: Serving) -> Timeline:
    """Return what happened to a receipt of the caller's regions."""
    digits = parse_receipt_id(receipt_id)
    caller.record(receipt_ids=[digits])
    own, others, handled = await find_story(serving, caller.principal, digits)
    caller.record(
        receipt_ids=[other.receipt_id for other in others], customer_ids=[own.customer_id] if own.customer_id else []
    )
    events = [_printing(own), *(_printing(other, other.receipt_id) for other in others), *handled]
    return Timeline(
        receipt_id=digits,
        events=sorted(events, key=lambda event: (event.at, _ORDER.index(event.kind))),
        original_receipt_id=own.original_receipt_id,
        returns=[_return(other) for other in others if other.original_receipt_id == digits],
    )


async def find_story(context: ServingContext, principal: Principal, receipt_id: str) -> Story:
    """Return what is known of a receipt of a principal's scope. Raises NotFound."""

    async def read(connection: AsyncConnection[Any]) -> Story | None:
        wanted = {"receipt_id": receipt_id, "most": _MOST}
        printing = connection.cursor(row_factory=class_row(Printed))
        handling = connection.cursor(row_factory=kwargs_row(Event))
        async with scope(connection, principal):
            await printing.execute(_SQL["list_printed"], wanted, prepare=True)
            await handling.execute(_SQL["list_handled"], wanted, prepare=True)
            printed, handled = await printing.fetchall(), await handling.fetchall()
        own = next((one for one in printed if one.receipt_id == receipt_id), None)
        return own and Story(own, [one for one in printed if one is not own], handled)

    story = await context.reads.find(read)
    if story is None:
        raise NotFound
    return story


def _printing(printed: Printed, other: str | None = None) -> Event:
    """Tell of a sale or return as a rep would: $10.48 at East Liberty, register 3."""
    kind = "returned" if printed.receipt_type == "return" else "sold"
    cents = -printed.total_cents if kind == "returned" else printed.total_cents
    void = ", void" if printed.receipt_type == "void" else ""
    register = natural_key(printed.receipt_id).register_id
    detail = f"{format_cents(cents, printed.currency)} at {printed.store_name}, register {register}{void}"
    return Event(at=printed.purchased_at, kind=kind, by=printed.operator_id, detail=detail, receipt_id=other)


def _return(printed: Printed) -> Return:
    return Return(
        receipt_id=printed.receipt_id,
        purchased_at=printed.purchased_at,
        total_cents=printed.total_cents,
        currency=printed.currency,
    )
