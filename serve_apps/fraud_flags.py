"""Flags: what staff find suspicious about a receipt or a customer, confirmed or cleared by somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from receipts.access import Permission, Principal
from receipts.card_numbers import contains_card_number
from receipts.errors import Conflict, Forbidden, InvalidInput, NotFound
from receipts.identity import parse_receipt_id
from receipts.models import CustomerId
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext

_SQL = load_sql("serve_apps", "fraud_flags")
_MOST = 100  # flags on one page
_NEWEST = 2**63 - 1  # before every number that Postgres gives
router = APIRouter(prefix="/flags")
Flagger = Annotated[Caller, Depends(guard(Permission.FLAG_FRAUD))]
Note = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]
SubjectId = CustomerId  # has the shape of a receipt's id too
State = Literal["open", "confirmed", "cleared"]


class Raised(BaseModel):
    """What is flagged and why. The note may tell of a person: it is kept nowhere but with the flag."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    subject: Literal["receipt", "customer"]
    subject_id: SubjectId
    reason: Literal["return_abuse", "card_misuse", "identity", "employee", "other"]
    note: Note


class Review(BaseModel):
    """What a review came to."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    outcome: Literal["confirmed", "cleared"]
    note: Note


class Flag(BaseModel):
    """A flag; `region_ids` are those of what it is about."""

    model_config = ConfigDict(frozen=True)

    flag_id: int
    subject: Literal["receipt", "customer"]
    subject_id: str
    reason: str
    note: str
    state: State
    raised_by: str
    raised_at: datetime
    reviewed_by: str | None
    reviewed_at: datetime | None
    review_note: str | None
    region_ids: list[int]


class Flags(BaseModel):
    """One page of flags, the newest first; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    flags: list[Flag]
    next_cursor: int | None


class Wanted(BaseModel):
    """Which flags are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State | None = None
    subject_id: SubjectId | None = None
    limit: int = Field(20, ge=1, le=_MOST)
    cursor: int = Field(_NEWEST, ge=1, le=_NEWEST)


@router.post("", status_code=201)
async def raised(flag: Raised, caller: Flagger, serving: Serving) -> Flag:
    """Flag a receipt or a customer of the caller's regions."""
    subject_id = _subject_id(flag)
    caller.record(constraints={"subject": flag.subject, "reason": flag.reason})
    _record_subjects(caller, [(flag.subject, subject_id)])
    made = await record_flag(serving, caller.principal, flag.model_copy(update={"subject_id": subject_id}))
    caller.record(constraints={"flag_id": made.flag_id})
    return made


@router.get("")
async def listed(wanted: Annotated[Wanted, Query()], caller: Flagger, serving: Serving) -> Flags:
    """Return a page of flags about what lies in the caller's regions."""
    caller.record(constraints=wanted.model_dump(include={"state", "limit"}, exclude_none=True))
    page = await list_flags(serving, caller.principal, wanted)
    _record_subjects(caller, [(flag.subject, flag.subject_id) for flag in page.flags])
    return page


@router.post("/{flag_id}/review")
async def reviewed(
    flag_id: Annotated[int, Path(ge=1, lt=_NEWEST)], review: Review, caller: Flagger, serving: Serving
) -> Flag:
    """Confirm or clear a flag that somebody else raised."""
    caller.record(constraints={"flag_id": flag_id, "outcome": review.outcome})
    done = await record_review(serving, caller.principal, flag_id, review)
    _record_subjects(caller, [(done.subject, done.subject_id)])
    return done


async def record_flag(context: ServingContext, principal: Principal, flag: Raised) -> Flag:
    """Write a flag down. Raises NotFound where its subject does not lie in the scope, InvalidInput for a card."""
    _refuse_card(flag.note)
    made = await _one(context, principal, "record_flag", flag.model_dump() | {"raised_by": principal.principal_id})
    if made is None:
        raise NotFound
    return made


async def list_flags(context: ServingContext, principal: Principal, wanted: Wanted) -> Flags:
    """Return at most `limit` flags before the cursor."""
    params = wanted.model_dump(exclude={"limit", "cursor"}) | {"before": wanted.cursor, "rows": wanted.limit + 1}
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(Flag))
        rows = await (await cursor.execute(_SQL["list_flags"], params)).fetchall()
    shown = rows[: wanted.limit]
    return Flags(flags=shown, next_cursor=shown[-1].flag_id if len(rows) > wanted.limit else None)


async def record_review(context: ServingContext, principal: Principal, flag_id: int, review: Review) -> Flag:
    """Close a flag. Raises NotFound, Forbidden for who raised it, Conflict where it is closed already."""
    _refuse_card(review.note)
    params = {"flag_id": flag_id, "reviewed_by": principal.principal_id, **review.model_dump()}
    done = await _one(context, principal, "record_review", params)
    if done is not None:
        return done
    flag = await _one(context, principal, "find_flag", {"flag_id": flag_id})
    if flag is None:
        raise NotFound
    if flag.raised_by == principal.principal_id:
        raise Forbidden("A flag is reviewed by somebody else than who raised it.")
    raise Conflict("The flag has been reviewed already.")


async def _one(context: ServingContext, principal: Principal, block: str, params: dict[str, Any]) -> Flag | None:
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(Flag))
        await cursor.execute(_SQL[block], params)
        return await cursor.fetchone()


def _subject_id(flag: Raised) -> str:
    if flag.subject == "customer":
        return flag.subject_id
    try:
        return parse_receipt_id(flag.subject_id)
    except InvalidInput as error:
        raise InvalidInput("subject_id", error.problem) from None


def _refuse_card(note: str) -> None:
    if contains_card_number(note):
        raise InvalidInput("note", "holds a full card number, which is never accepted")


def _record_subjects(caller: Caller, subjects: Iterable[tuple[str, str]]) -> None:
    for subject, subject_id in subjects:
        if subject == "receipt":
            caller.record(receipt_ids=[subject_id])
        else:
            caller.record(customer_ids=[subject_id])
