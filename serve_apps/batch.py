"""Many receipts in one request, for programs: as safe and as much on record as one at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from receipts.access import Permission
from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id
from receipts.models import Receipt, Store
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import CONNECTION_S
from serve_apps.serving import Serving

_SQL = load_sql("serve_apps", "batch")
_MOST = 1_000  # ids in one request: a megabyte or two of answer
router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]


class ReceiptAnswer(BaseModel):
    """A whole receipt and the store it comes from."""

    receipt: Receipt
    store: Store


class ReceiptBatch(BaseModel):
    """Ids of receipts, each of 22 digits with or without dashes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    receipt_ids: list[Annotated[str, Field(max_length=60)]] = Field(min_length=1, max_length=_MOST)


class ReceiptBatchAnswer(BaseModel):
    """The receipts of the caller's regions in the order asked for, each once, and the ids of the others."""

    receipts: list[ReceiptAnswer]
    not_found: list[str]


@router.post("/batch", response_model=ReceiptBatchAnswer)
async def find_batch(wanted: ReceiptBatch, caller: Reader, serving: Serving) -> Response:
    """Return up to 1,000 receipts by their ids; one audit event names all that were asked for and whose they are."""
    ids = list(dict.fromkeys(_parse(place, text) for place, text in enumerate(wanted.receipt_ids)))
    caller.record(receipt_ids=ids, constraints={"asked": len(ids)})
    async with serving.pool.connection(timeout=CONNECTION_S) as connection:
        cursor = await connection.execute(
            _SQL["find_receipts"], (caller.principal.scope_id, ids), prepare=True, binary=True
        )
        found = {row[0]: row[1:] for row in await cursor.fetchall()}
    shown = [found[digits] for digits in ids if digits in found]
    caller.record(customer_ids=[customer for *_, customer in shown if customer is not None])
    receipts = ",".join([f'{{"receipt":{document},"store":{store}}}' for document, store, _ in shown])
    missing = ",".join([f'"{digits}"' for digits in ids if digits not in found])
    return Response(f'{{"receipts":[{receipts}],"not_found":[{missing}]}}', media_type="application/json")


def _parse(place: int, text: str) -> str:
    try:
        return parse_receipt_id(text)
    except InvalidInput as error:
        raise InvalidInput(f"receipt_ids.{place}", error.problem) from None
