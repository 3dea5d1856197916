"""The audit trail searched by privacy officers: who saw what of whom, page by page or as one file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query
from psycopg import AsyncConnection
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id
from receipts.models import CustomerId, Instant
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.csv_rows import MEDIA_TYPE, written
from serve_apps.cursors import instant_of, pack, reading, unpack
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scope
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.streaming import StreamedAnswer

_SQL = load_sql("serve_apps", "audit_log")
_MOST = 100  # events on one page
_MOST_IN_FILE = 1_000_000  # events in one file: some 400 MB, which spreadsheets and reviewers are long past
_FETCH = 1_000  # events in memory at a time
_END = {"before_at": datetime.max.replace(tzinfo=UTC), "before_id": UUID(int=2**128 - 1)}
router = APIRouter()
Officer = Annotated[Caller, Depends(guard(Permission.READ_AUDIT))]


def _written_id(value: str) -> str:
    try:
        return parse_receipt_id(value)
    except InvalidInput as error:
        raise ValueError(error.problem) from None


ReceiptId = Annotated[str, Field(max_length=60), AfterValidator(_written_id)]
PrincipalId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:|-]{0,99}$")]
Route = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_./{}() -]{0,199}$")]


class LoggedEvent(BaseModel):
    """One answer that left, or was refused. `constraints` is what was asked for, as typed values."""

    model_config = ConfigDict(frozen=True)

    event_id: UUID
    occurred_at: datetime
    principal_id: str
    role: str
    route: str
    outcome: str
    status: int
    receipt_ids: list[str]
    customer_ids: list[str]
    purpose: str
    constraints: dict[str, Any]
    client_address: str
    request_id: str


class AuditLog(BaseModel):
    """One page of the audit trail; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    events: list[LoggedEvent]
    next_cursor: str | None


class AuditFilter(BaseModel):
    """Which events are asked for: those at or after `from` and before `to` that fit everything else too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    principal_id: PrincipalId | None = None
    customer_id: CustomerId | None = None
    receipt_id: ReceiptId | None = None
    route: Route | None = None
    outcome: Literal["answered", "not_found", "invalid", "refused", "failed"] | None = None
    purpose: Annotated[str | None, Field(pattern=r"^[a-z_]{1,40}$")] = None
    since: Instant | None = Field(None, alias="from")
    until: Instant | None = Field(None, alias="to")
    format: Literal["json", "csv"] = "json"
    limit: int = Field(50, ge=1, le=_MOST)
    cursor: Annotated[str | None, Field(max_length=200)] = None

    def parameters(self) -> dict[str, object]:
        """Return what the statements take of it."""
        return self.model_dump(exclude={"format", "limit", "cursor"})


@router.get("/log", response_model=AuditLog, responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}})
async def log(wanted: Annotated[AuditFilter, Query()], caller: Officer, serving: Serving) -> Response:
    """Return a page of the events that fit, the newest first; with `format=csv` all of them as a file."""
    asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"cursor"})
    caller.record(
        receipt_ids=filter(None, [wanted.receipt_id]),
        customer_ids=filter(None, [wanted.customer_id]),
        constraints=asked,
    )
    if wanted.format == "csv":
        return await _file(wanted, caller, serving)
    return Response(await list_events(serving, caller.principal, wanted), media_type="application/json")


async def list_events(context: ServingContext, principal: Principal, wanted: AuditFilter) -> bytes:
    """Return the JSON of at most `limit` events before the cursor."""
    place = _place(wanted.cursor) if wanted.cursor else _END
    params = wanted.parameters() | place | {"rows": wanted.limit + 1}

    async def read(connection: AsyncConnection[Any]) -> list[tuple[Any, ...]]:
        async with scope(connection, principal):
            # Planned for these very values, never once for all: which index serves depends on what is asked.
            return await (await connection.execute(_SQL["list_events"], params, prepare=False)).fetchall()

    rows = await context.reads.run(read)
    shown = [_event(row) for row in rows[: wanted.limit]]
    last = shown[-1] if len(rows) > wanted.limit else None
    return orjson.dumps(
        {"events": shown, "next_cursor": pack([last["occurred_at"], last["event_id"]]) if last else None}
    )


async def count_events(context: ServingContext, principal: Principal, wanted: AuditFilter) -> int:
    """Return how many events fit, at most one more than a file takes."""

    async def read(connection: AsyncConnection[Any]) -> int:
        async with scope(connection, principal):
            params = wanted.parameters() | {"most": _MOST_IN_FILE + 1}
            cursor = await connection.execute(_SQL["count_events"], params, prepare=False)
            (counted,) = await cursor.fetchone() or (0,)
        return counted

    return await context.reads.run(read)


async def _file(wanted: AuditFilter, caller: Caller, context: ServingContext) -> StreamedAnswer:
    """Return all events that fit as CSV. Raises InvalidInput for more than one file takes: none is left out unsaid."""
    if wanted.cursor is not None:
        raise InvalidInput("cursor", "belongs to pages; a file holds everything that fits")
    context.long_reads.require_room()
    counted = await count_events(context, caller.principal, wanted)
    if counted > _MOST_IN_FILE:
        raise InvalidInput(
            "format", f"more than {_MOST_IN_FILE:,} events fit, which is the most of one file: narrow it"
        )
    caller.record(constraints={"events": counted})
    name = f"audit-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.csv"
    return StreamedAnswer(_rows(wanted, caller.principal, context), MEDIA_TYPE, name)


async def _rows(wanted: AuditFilter, principal: Principal, context: ServingContext) -> AsyncGenerator[bytes, None]:
    """Yield the file: a line of names, then one line an event; ids are separated by blanks."""
    yield written([list(LoggedEvent.model_fields)])
    params = wanted.parameters() | _END | {"rows": _MOST_IN_FILE}
    async with aclosing(context.long_reads.read(principal, _SQL["list_events"], params, _FETCH)) as pages:
        async for rows in pages:
            yield written([_joined(value) for value in row] for row in rows)


def _joined(value: object) -> object:
    return " ".join(value) if isinstance(value, list) else value


def _event(row: Iterable[Any]) -> dict[str, Any]:
    event = dict(zip(LoggedEvent.model_fields, row, strict=True))
    told = orjson.loads(event["constraints"] or b"{}")
    event["constraints"] = told if isinstance(told, dict) else {"value": told}  # as no replica of ours writes it
    return event


def _place(cursor: str) -> dict[str, object]:
    with reading():
        instant, event_id = unpack(cursor)
        return {"before_at": instant_of(instant), "before_id": UUID(event_id)}


def build_app(settings: Settings) -> FastAPI:
    """Return the audit search application."""
    return build_api("Audit search", serving_context(settings, application="audit"), [router], purpose="audit")
