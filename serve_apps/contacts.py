"""A customer's contact data in clear: for a reason, for half a minute, and on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict

from receipts.access import Permission, Principal
from receipts.errors import NotFound
from receipts.models import CustomerId
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import CONNECTION_S
from serve_apps.serving import Serving, ServingContext

_SQL = load_sql("serve_apps", "contacts")
_SHOWN = timedelta(seconds=30)  # long enough to read an address back to a customer, too short to walk away from
router = APIRouter()
Revealer = Annotated[Caller, Depends(guard(Permission.REVEAL_CONTACTS))]


class Reveal(BaseModel):
    """Why somebody needs to see the contact data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Literal["confirm_identity", "send_receipt", "call_back", "fraud_review", "other"]


class Contacts(BaseModel):
    """Contact data in clear, empty where there is none; whoever shows it masks it again at `masked_again_at`."""

    customer_id: str
    email: str
    phone: str
    address: str
    masked_again_at: datetime


@router.post("/{customer_id}/contacts/reveal")
async def reveal(
    customer_id: Annotated[CustomerId, Path()], why: Reveal, caller: Revealer, serving: Serving
) -> Contacts:
    """Return the contact data of a customer of the caller's regions in clear; the audit trail keeps the reason."""
    caller.record(customer_ids=[customer_id], constraints={"reason": why.reason})
    return await reveal_contacts(serving, caller.principal, customer_id)


async def reveal_contacts(context: ServingContext, principal: Principal, customer_id: str) -> Contacts:
    """Return a customer's contact data as the primary has it. Raises NotFound."""
    async with context.pool.connection(timeout=CONNECTION_S) as connection:
        cursor = await connection.execute(_SQL["reveal_contacts"], (principal.scope_id, customer_id), prepare=True)
        row = await cursor.fetchone()
    if row is None:
        raise NotFound
    email, phone, address = row
    until = datetime.now(UTC) + _SHOWN
    return Contacts(customer_id=customer_id, email=email, phone=phone, address=address, masked_again_at=until)
