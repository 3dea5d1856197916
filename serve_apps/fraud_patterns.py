"""Patterns that the pipeline found: the strongest first, how many of what and where, and the receipts of each."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query
from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from pydantic import BaseModel, ConfigDict, Field

from receipts.access import Permission, Principal
from receipts.errors import InvalidInput, NotFound
from receipts.models import Day
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scope
from serve_apps.serving import Serving, ServingContext
from serve_apps.summaries import ReceiptSummary, SummaryRow, summary

_SQL = load_sql("serve_apps", "fraud_patterns")
_MOST = 100  # patterns on one page, receipts of a pattern, stores of a summary
_ID = r"[0-9a-f]{32}"
router = APIRouter(prefix="/patterns")
Investigator = Annotated[Caller, Depends(guard(Permission.READ_FRAUD_PATTERNS))]
Since = Annotated[Day | None, Query()]


class Pattern(BaseModel):
    """What somebody should look at: a signal that a subject gave in a month.

    A card is named by its store or by its region and brand, and its last four digits. `score` is 0.5 at the signal's
    threshold and nears 1 far beyond it.
    """

    model_config = ConfigDict(frozen=True)

    pattern_id: str
    kind: str
    subject: Literal["customer", "card", "operator", "register", "receipt"]
    subject_id: str
    month: date
    score: float
    figures: dict[str, float]
    explanation: str
    receipt_count: int


class Patterns(BaseModel):
    """One page of patterns, the strongest first; `next_cursor` is null on the last."""

    model_config = ConfigDict(frozen=True)

    patterns: list[Pattern]
    next_cursor: str | None


class KindCount(BaseModel):
    """How many patterns of a kind a month has."""

    kind: str
    month: date
    patterns: int


class StoreCount(BaseModel):
    """How many patterns a store is part of."""

    store_id: int
    store_name: str
    patterns: int


class PatternSummary(BaseModel):
    """How many patterns there are, by kind and month, and by store."""

    model_config = ConfigDict(frozen=True)

    by_kind: list[KindCount]
    by_store: list[StoreCount]


class PatternReceipts(BaseModel):
    """The receipts that show a pattern, the newest first."""

    model_config = ConfigDict(frozen=True)

    receipts: list[ReceiptSummary]


class Wanted(BaseModel):
    """Which patterns are listed; `since` counts from the beginning of its month."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str | None = Field(None, pattern=r"^[a-z_]{1,40}$")
    since: Since = None
    limit: int = Field(20, ge=1, le=_MOST)
    cursor: str | None = Field(None, max_length=100)


@router.get("")
async def listed(wanted: Annotated[Wanted, Query()], caller: Investigator, serving: Serving) -> Patterns:
    """Return a page of the patterns of the caller's regions."""
    caller.record(constraints=wanted.model_dump(mode="json", exclude={"cursor"}, exclude_none=True))
    page = await list_patterns(serving, caller.principal, wanted)
    _record(caller, page.patterns)
    return page


@router.get("/summary")
async def summed_up(caller: Investigator, serving: Serving, since: Since = None) -> PatternSummary:
    """Return how many patterns the caller's regions have."""
    caller.record(constraints={"since": since} if since else {})
    return await count_patterns(serving, caller.principal, since)


@router.get("/{pattern_id}/receipts")
async def receipts_of(
    pattern_id: Annotated[str, Path(pattern=f"^{_ID}$")], caller: Investigator, serving: Serving
) -> PatternReceipts:
    """Return the receipts of the caller's regions that show a pattern, at most a hundred."""
    caller.record(constraints={"pattern_id": pattern_id})
    found = await list_receipts(serving, caller.principal, pattern_id)
    caller.record(
        receipt_ids=[one.receipt_id for one in found],
        customer_ids=[one.customer_id for one in found if one.customer_id],
    )
    return PatternReceipts(receipts=found)


async def list_patterns(context: ServingContext, principal: Principal, wanted: Wanted) -> Patterns:
    """Return at most `limit` patterns after the cursor. Raises InvalidInput for one that is none of ours."""
    after, after_id = _parse_cursor(wanted.cursor) if wanted.cursor else (None, None)
    params = wanted.model_dump(include={"kind", "since"}) | {
        "after": after,
        "after_id": after_id,
        "rows": wanted.limit + 1,
    }
    rows = await context.reads.run(lambda connection: _rows(connection, principal, "list_patterns", params))
    shown = rows[: wanted.limit]
    last = shown[-1] if len(rows) > wanted.limit else None
    return Patterns(
        patterns=[_pattern(row) for row in shown],
        next_cursor=_cursor(last["strength"], last["pattern_id"]) if last else None,
    )


async def count_patterns(context: ServingContext, principal: Principal, since: date | None) -> PatternSummary:
    """Return how many patterns of a principal's scope there are."""
    params = {"since": since, "rows": _MOST}
    kinds, stores = [
        await context.reads.run(lambda connection, block=block: _rows(connection, principal, block, params))
        for block in ("count_by_kind", "count_by_store")
    ]
    return PatternSummary(by_kind=[KindCount(**row) for row in kinds], by_store=[StoreCount(**row) for row in stores])


async def list_receipts(context: ServingContext, principal: Principal, pattern_id: str) -> list[ReceiptSummary]:
    """Return the receipts of a principal's scope that show a pattern. Raises NotFound."""

    async def read(connection: AsyncConnection[Any]) -> list[SummaryRow] | None:
        async with scope(connection, principal):
            finding = connection.cursor(row_factory=dict_row)
            pattern = await (await finding.execute(_SQL["find_pattern"], {"pattern_id": pattern_id})).fetchone()
            if pattern is None:
                return None
            listing = connection.cursor(row_factory=class_row(SummaryRow))
            await listing.execute(_SQL[f"list_receipts_of_{pattern['subject']}"], _selection(pattern))
            return await listing.fetchall()

    rows = await context.reads.find(read, found=lambda found: found is not None)
    if rows is None:
        raise NotFound
    return [summary(row) for row in rows]


def _selection(pattern: dict[str, Any]) -> dict[str, Any]:
    """Return what finds the receipts of a pattern, by what its subject is named after (data_jobs/tables)."""
    subject, subject_id = pattern["subject"], pattern["subject_id"]
    named: dict[str, Any] = {"store_id": None, "region_id": None, "brand": None, "part": None}
    if subject == "card" and subject_id.count("/") == len(("region", "brand")):
        region, brand, last4 = subject_id.split("/")
        named |= {"region_id": int(region), "brand": brand, "part": last4}
    elif subject in {"card", "operator", "register"}:
        store, _, part = subject_id.partition("/")
        named |= {"store_id": int(store), "part": part}
    return pattern | named | {"rows": _MOST}


async def _rows(
    connection: AsyncConnection[Any], principal: Principal, block: str, params: dict[str, Any]
) -> list[dict[str, Any]]:
    async with scope(connection, principal):
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(_SQL[block], params)
        return await cursor.fetchall()


def _pattern(row: dict[str, Any]) -> Pattern:
    told = {name: value for name, value in row.items() if name != "strength"}
    return Pattern(**told | {"score": row["strength"] / 1000, "figures": orjson.loads(row["figures"])})


def _record(caller: Caller, patterns: Iterable[Pattern]) -> None:
    for pattern in patterns:
        if pattern.subject == "customer":
            caller.record(customer_ids=[pattern.subject_id])
        elif pattern.subject == "receipt":
            caller.record(receipt_ids=[pattern.subject_id])


def _cursor(strength: int, pattern_id: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([strength, pattern_id])).rstrip(b"=").decode()


def _parse_cursor(text: str) -> tuple[int, str]:
    try:
        strength, pattern_id = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(strength, int) and 0 <= strength <= 1000 and re.fullmatch(_ID, pattern_id):
            return strength, pattern_id
    except (binascii.Error, ValueError, TypeError):
        pass
    raise InvalidInput("cursor", "expected the next_cursor of the page before, unchanged")
