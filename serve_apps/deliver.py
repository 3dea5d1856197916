"""Receipts by mail: a delivery is scheduled, can be taken back for some seconds, and is told of afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import Conflict, InvalidInput, NotFound, Unavailable
from receipts.identity import parse_receipt_id
from receipts.masking import mask_email
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.mailing.outlets import outlet_of
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext, serving_context

_SQL = load_sql("serve_apps", "deliver")
_LATE = timedelta(seconds=30)  # a mailer that is there takes what is due within a second
_WAITS = "It is due and waits for the mailer, or for the mail server."
_REFUSED = {  # outcome -> field and problem
    "no_address": ("email", "the customer has no e-mail address on file; give one"),
    "malformed": ("email", "expected an address such as name@example.com"),
    "other_request": ("Idempotency-Key", "was used for another delivery; use a new one"),
}
_TOO_LATE = {
    "sending": "The receipt is being sent.",
    "sent": "The receipt was sent.",
    "failed": "The receipt could not be sent, so there is nothing to take back.",
}
router = APIRouter()
Sender = Annotated[Caller, Depends(guard(Permission.DELIVER_RECEIPTS))]
Onlooker = Annotated[Caller, Depends(guard(Permission.DELIVER_RECEIPTS, counted=False))]
Id = Annotated[UUID, Path()]
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[!-~]([ -~]{0,98}[!-~])?$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[!-~]+$")]


class DeliveryRequest(BaseModel):
    """Which receipt goes where. Without an `email` it goes to the address on file of the receipt's customer."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    receipt_id: str = Field(max_length=40)
    email: Email | None = None
    gift: bool = Field(default=False, strict=True)


class Delivery(BaseModel):
    """A delivery. It can be taken back while it is scheduled, which is until `send_at` and between two attempts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delivery_id: UUID
    receipt_id: str
    email_masked: str
    gift: bool
    status: Literal["scheduled", "sending", "sent", "failed", "cancelled"]
    requested_at: datetime
    requested_by: str
    send_at: datetime
    sent_at: datetime | None
    detail: str | None
    attempts: int


class Deliveries(BaseModel):
    """The newest deliveries of a receipt, at most twenty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deliveries: list[Delivery]


@router.post("/", status_code=202)
async def ask(asked: DeliveryRequest, caller: Sender, serving: Serving, key: Key = None) -> Delivery:
    """Schedule a receipt to be mailed; the same key of the same person gives the same delivery again."""
    receipt_id = parse_receipt_id(asked.receipt_id)
    to = "address_on_file" if asked.email is None else "given_address"
    caller.record(receipt_ids=[receipt_id], constraints={"gift": asked.gift, "to": to})
    delivery_id = await schedule_delivery(serving, caller.principal, receipt_id, asked, key)
    return await _show(serving, caller, delivery_id)


@router.post("/{delivery_id}/undo")
async def undo(delivery_id: Id, caller: Onlooker, serving: Serving) -> Delivery:
    """Take back a delivery before it is sent."""
    caller.record(constraints={"delivery_id": str(delivery_id)})
    await take_back_delivery(serving, caller.principal, delivery_id)
    delivery = await _show(serving, caller, delivery_id)
    if delivery.status in _TOO_LATE:
        raise Conflict(_TOO_LATE[delivery.status])
    return delivery


@router.get("/{delivery_id}")
async def told(delivery_id: Id, caller: Onlooker, serving: Serving) -> Delivery:
    """Return what became of a delivery."""
    return await _show(serving, caller, delivery_id)


@router.get("/")
async def of_receipt(
    receipt_id: Annotated[str, Query(max_length=40)], caller: Onlooker, serving: Serving
) -> Deliveries:
    """Return the deliveries of a receipt, the newest first."""
    digits = parse_receipt_id(receipt_id)
    caller.record(receipt_ids=[digits])
    rows = await list_deliveries(serving, caller.principal, digits)
    caller.record(customer_ids=[row["customer_id"] for row in rows if row["customer_id"]])
    return Deliveries(deliveries=[_delivery(row) for row in rows])


async def schedule_delivery(
    context: ServingContext, principal: Principal, receipt_id: str, asked: DeliveryRequest, key: str | None
) -> UUID:
    """Schedule a delivery and return its id. Raises NotFound, InvalidInput, and Unavailable where mail is not set up.

    An address on file is found by the database and stays there.
    """
    if outlet_of(context.settings) is None:
        raise Unavailable("Mail is not set up here: RECEIPTS_MAIL__HOST is empty.")
    params = {
        "receipt_id": receipt_id,
        "email": asked.email,
        "email_masked": mask_email(asked.email or ""),
        "gift": asked.gift,
        "requested_by": principal.principal_id,
        "key": key,
        "undo_s": context.settings.mail.undo_s,
    }
    async with scoped(context.pool, principal) as connection:
        row = await (await connection.execute(_SQL["schedule_delivery"], params)).fetchone()
    outcome, delivery_id = row or ("no_receipt", None)
    if outcome in _REFUSED:
        raise InvalidInput(*_REFUSED[outcome])
    if delivery_id is None:
        raise NotFound
    return delivery_id


async def take_back_delivery(context: ServingContext, principal: Principal, delivery_id: UUID) -> None:
    """Cancel a delivery if it is only scheduled yet."""
    async with scoped(context.pool, principal) as connection:
        await connection.execute(_SQL["take_back_delivery"], {"delivery_id": delivery_id})


async def find_delivery(context: ServingContext, principal: Principal, delivery_id: UUID) -> dict[str, Any]:
    """Return the row of a delivery. Raises NotFound."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        row = await (await cursor.execute(_SQL["find_delivery"], {"delivery_id": delivery_id})).fetchone()
    if row is None:
        raise NotFound
    return row


async def list_deliveries(context: ServingContext, principal: Principal, receipt_id: str) -> list[dict[str, Any]]:
    """Return the rows of a receipt's deliveries. Raises NotFound when the caller may see no such receipt."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = await (await cursor.execute(_SQL["list_deliveries"], {"receipt_id": receipt_id})).fetchall()
    if not rows:
        raise NotFound
    return [row for row in rows if row["delivery_id"] is not None]


async def _show(context: ServingContext, caller: Caller, delivery_id: UUID) -> Delivery:
    """Return a delivery to a caller, and record whose and which receipt's it is."""
    caller.record(constraints={"delivery_id": str(delivery_id)})
    row = await find_delivery(context, caller.principal, delivery_id)
    caller.record(receipt_ids=[row["receipt_id"]], customer_ids=[row["customer_id"]] if row["customer_id"] else [])
    return _delivery(row)


def _delivery(row: dict[str, Any]) -> Delivery:
    is_late = row["status"] == "scheduled" and row["due_at"] < datetime.now(UTC) - _LATE
    shown = {name: row[name] for name in Delivery.model_fields}
    return Delivery.model_validate(shown | {"detail": row["detail"] or (_WAITS if is_late else None)})


def build_app(settings: Settings) -> FastAPI:
    """Return the delivery application."""
    return build_api("Receipt delivery", serving_context(settings, application="deliver"), [router])
