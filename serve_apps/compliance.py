"""People's requests about their own data: from the day one came in to its answer, by the clocks of the law.

The deadlines are those of receipts/deadlines.py: GDPR, one month, and two more if that is told in time; CCPA, ten
business days to confirm, 45 days to answer, and 45 more if that is told in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.card_numbers import contains_card_number
from receipts.deadlines import Law, deadlines_of
from receipts.errors import Conflict, Forbidden, InvalidInput, NotFound, ReceiptsError
from receipts.models import CustomerId, Day
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.cursors import pack, reading, unpack
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext, serving_context

_SQL = load_sql("serve_apps", "compliance")
_MOST = 100  # requests on one page
_LARGEST = 2**63 - 1  # that Postgres numbers
_START = {"after_due": date.min, "after_id": 0}
router = APIRouter()
Opener = Annotated[Caller, Depends(guard(Permission.FULFIL_PRIVACY_REQUESTS))]
# A request takes half a dozen steps and many looks, and an officer may have thirty of them in a morning.
Officer = Annotated[Caller, Depends(guard(Permission.FULFIL_PRIVACY_REQUESTS, counted=False))]
Id = Annotated[int, Path(ge=1, le=_LARGEST)]
Kind = Literal["access", "erasure"]
State = Literal["received", "verified", "in_progress", "approved", "completed", "refused"]
StepName = Literal["confirm", "verify_identity", "start", "extend", "refuse", "approve", "complete"]
# Whatever an officer writes, in lines; nothing else that a terminal or a database would stumble over.
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$"),
]
# Why a step was not taken, as the database says it.
_REFUSED: Mapping[str, tuple[type[ReceiptsError], str]] = MappingProxyType(
    {
        "not_found": (NotFound, ""),
        "not_now": (Conflict, "The request is not where this step can be taken."),
        "too_late": (Conflict, "An extension must be told while the first period runs, and that is over."),
        "same_officer": (Forbidden, "Another officer must approve: not who opened or started the request."),
        "not_carried_out": (Conflict, "The erasure itself is not on record yet, so it cannot be completed."),
    }
)


class PrivacyWish(BaseModel):
    """What came in, how, and on which day: today unless it is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    law: Law
    customer_id: CustomerId
    channel: Literal["phone", "email", "letter", "store", "agent"]
    received_on: Day | None = None


class StepWish(BaseModel):
    """A step, and why; a refusal and an extension must say why."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    step: StepName
    reason: Reason | None = None


class PrivacyStep(BaseModel):
    """A step that was taken."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    by: str
    step: StepName
    reason: str | None


class PrivacyRequest(BaseModel):
    """A request and all that was done about it. `confirm_by` is null where the law sets no day."""

    model_config = ConfigDict(frozen=True)

    request_id: int
    kind: Kind
    law: Law
    customer_id: str
    channel: str
    state: State
    received_on: date
    confirm_by: date | None
    confirmed_on: date | None
    due_on: date
    extended: bool
    overdue: bool
    opened_by: str
    history: list[PrivacyStep]


class PrivacyRequests(BaseModel):
    """One page of requests, by the day they are due; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    requests: list[PrivacyRequest]
    next_cursor: str | None


class PrivacyFilter(BaseModel):
    """Which requests are listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State | None = None
    kind: Kind | None = None
    customer_id: CustomerId | None = None
    overdue: bool | None = None
    limit: int = Field(20, ge=1, le=_MOST)
    cursor: Annotated[str | None, Field(max_length=200)] = None


@router.post("/requests", status_code=201)
async def opened(wish: PrivacyWish, caller: Opener, serving: Serving) -> PrivacyRequest:
    """Open a request; its clocks run from the day on which it came in."""
    asked = wish.model_dump(mode="json", exclude_none=True, exclude={"customer_id"})
    caller.record(customer_ids=[wish.customer_id], constraints=asked)
    made = await record_request(serving, caller.principal, wish)
    caller.record(constraints={"request_id": made.request_id})
    return made


@router.get("/requests")
async def listed(wanted: Annotated[PrivacyFilter, Query()], caller: Officer, serving: Serving) -> PrivacyRequests:
    """Return a page of requests, those that are due first before the others."""
    caller.record(constraints=wanted.model_dump(mode="json", exclude_none=True, exclude={"cursor"}))
    page = await list_requests(serving, caller.principal, wanted)
    caller.record(customer_ids=[one.customer_id for one in page.requests])
    return page


@router.get("/requests/{request_id}")
async def shown(request_id: Id, caller: Officer, serving: Serving) -> PrivacyRequest:
    """Return a request and all that was done about it."""
    caller.record(constraints={"request_id": request_id})
    found = await find_request(serving, caller.principal, request_id)
    caller.record(customer_ids=[found.customer_id])
    return found


@router.post("/requests/{request_id}/steps")
async def stepped(request_id: Id, wish: StepWish, caller: Officer, serving: Serving) -> PrivacyRequest:
    """Take a step with a request."""
    caller.record(constraints={"request_id": request_id, "step": wish.step})
    found = await take_step(serving, caller.principal, request_id, wish)
    caller.record(customer_ids=[found.customer_id])
    return found


async def record_request(context: ServingContext, principal: Principal, wish: PrivacyWish) -> PrivacyRequest:
    """Open a request with its deadlines. Raises InvalidInput for one that has not come in yet."""
    received_on = wish.received_on or _today(context)
    if received_on > _today(context):
        raise InvalidInput("received_on", "lies in the future")
    due = deadlines_of(wish.law, received_on)
    params = wish.model_dump() | {
        "received_on": received_on,
        "confirm_by": due.confirm_by,
        "due_on": due.due_on,
        "extended_due_on": due.extended_due_on,
    }
    async with scoped(context.pool, principal) as connection:
        (request_id,) = await (await connection.execute(_SQL["record_request"], params)).fetchone() or (0,)
    return await find_request(context, principal, request_id)


async def list_requests(context: ServingContext, principal: Principal, wanted: PrivacyFilter) -> PrivacyRequests:
    """Return at most `limit` requests after the cursor."""
    place = _place(wanted.cursor) if wanted.cursor else _START
    params = wanted.model_dump(exclude={"limit", "cursor"}) | place | {"request_id": None, "rows": wanted.limit + 1}
    rows = await _requests(context, principal, params)
    shown = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    return PrivacyRequests(requests=shown, next_cursor=pack([shown[-1].due_on, shown[-1].request_id]) if more else None)


async def find_request(context: ServingContext, principal: Principal, request_id: int) -> PrivacyRequest:
    """Return one request. Raises NotFound."""
    anything = dict.fromkeys(("state", "kind", "customer_id", "overdue"))
    found = await _requests(context, principal, anything | _START | {"request_id": request_id, "rows": 1})
    if not found:
        raise NotFound
    return found[0]


async def take_step(context: ServingContext, principal: Principal, request_id: int, wish: StepWish) -> PrivacyRequest:
    """Take a step. Raises NotFound, Conflict where the request does not allow it, Forbidden for the wrong officer."""
    if wish.step in {"refuse", "extend"} and wish.reason is None:
        raise InvalidInput("reason", f"is needed to {wish.step} a request")
    if wish.reason is not None and contains_card_number(wish.reason):
        raise InvalidInput("reason", "holds a full card number, which is never accepted")
    params = wish.model_dump() | {"request_id": request_id, "today": _today(context)}
    async with scoped(context.pool, principal) as connection:
        (outcome,) = await (await connection.execute(_SQL["take_step"], params)).fetchone() or ("not_found",)
    if outcome in _REFUSED:
        error, sentence = _REFUSED[outcome]
        raise error(sentence)
    return await find_request(context, principal, request_id)


async def _requests(context: ServingContext, principal: Principal, params: dict[str, Any]) -> list[PrivacyRequest]:
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(PrivacyRequest))
        await cursor.execute(_SQL["list_requests"], params | {"today": _today(context)})
        return await cursor.fetchall()


def _place(cursor: str) -> dict[str, object]:
    with reading():
        due, request_id = unpack(cursor)
        return {"after_due": date.fromisoformat(due), "after_id": min(max(int(request_id), 0), _LARGEST)}


def _today(context: ServingContext) -> date:
    return datetime.now(ZoneInfo(context.settings.privacy.time_zone)).date()


def build_app(settings: Settings) -> FastAPI:
    """Return the application of privacy requests."""
    return build_api(
        "Privacy requests", serving_context(settings, application="compliance"), [router], purpose="privacy"
    )
