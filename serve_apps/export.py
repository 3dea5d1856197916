"""Receipts in bulk, for those who may take them out: asked for with a reason, downloaded while they are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field, model_validator

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.errors import Conflict, InvalidInput, NotFound
from receipts.identity import MAX_STORE
from receipts.models import Day
from receipts.sql import load_sql
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.export_files import Wanted, file_of
from serve_apps.export_formats import CsvFile, FileFormat, ParquetFile
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.streaming import StreamedAnswer

_SQL = load_sql("serve_apps", "export")
_DAYS = 366  # a leap year
_MOST_STORES = 500
_MOST_RECEIPTS = 1_000_000  # of one export: some ten million rows, which are read for minutes
_COUNTING_MS = 60_000  # a million receipts are counted in 4 s where they lie in memory
_SHOWN = 20  # exports in the list
_FILE = {CsvFile.media_type: {"schema": {"type": "string"}}, ParquetFile.media_type: {"schema": {"type": "string"}}}
router = APIRouter()
Exporter = Annotated[Caller, Depends(guard(Permission.EXPORT_RECEIPTS))]
Onlooker = Annotated[Caller, Depends(guard(Permission.EXPORT_RECEIPTS, counted=False))]


class ReceiptExportWish(BaseModel):
    """Which receipts: those of the stores' own days, both included; of all stores of the caller's regions, or some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date_from: Day
    date_to: Day
    store_ids: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_STORE)]] | None, Field(min_length=1, max_length=_MOST_STORES)
    ] = None
    format: Literal["csv", "parquet"]
    reason: Literal["audit_request", "chargeback", "legal", "analysis", "other"]

    @model_validator(mode="after")
    def _is_a_year_at_most(self) -> Self:
        days = (self.date_to - self.date_from).days + 1
        if not 1 <= days <= _DAYS:
            raise ValueError(f"date_from to date_to must be 1 to {_DAYS} days")
        return self


class ReceiptExport(BaseModel):
    """An export and how far its last download is, in rows: one per line item."""

    model_config = ConfigDict(frozen=True)

    export_id: UUID
    format: Literal["csv", "parquet"]
    reason: str
    date_from: date
    date_to: date
    store_ids: list[int] | None
    rows_total: int
    rows_done: int
    state: Literal["ready", "running", "done", "failed"]
    failure: str | None
    requested_by: str
    requested_at: datetime
    expires_at: datetime


class ReceiptExports(BaseModel):
    """The caller's newest exports."""

    model_config = ConfigDict(frozen=True)

    exports: list[ReceiptExport]


@router.post("/receipts", status_code=201)
async def ask(wish: ReceiptExportWish, caller: Exporter, serving: Serving) -> ReceiptExport:
    """Ask for an export of the receipts of the caller's regions; it can be downloaded for an hour."""
    caller.record(constraints=wish.model_dump(mode="json", exclude_none=True))
    export = await record_export(serving, caller.principal, wish)
    caller.record(constraints={"export_id": str(export.export_id), "rows_total": export.rows_total})
    return export


@router.get("/receipts/")
async def listed(caller: Onlooker, serving: Serving) -> ReceiptExports:
    """Return the caller's own exports, the newest first."""
    return ReceiptExports(exports=await list_exports(serving, caller.principal))


@router.get("/receipts/{export_id}")
async def shown(export_id: UUID, caller: Onlooker, serving: Serving) -> ReceiptExport:
    """Return one of the caller's own exports: how far it is."""
    caller.record(constraints={"export_id": str(export_id)})
    return await find_export(serving, caller.principal, export_id)


@router.get("/receipts/{export_id}/file", response_class=Response, responses={200: {"content": _FILE}})
async def downloaded(export_id: UUID, caller: Exporter, serving: Serving) -> StreamedAnswer:
    """Return the file of one of the caller's own exports, from its beginning."""
    caller.record(constraints={"export_id": str(export_id)})
    export = await find_export(serving, caller.principal, export_id)
    told = {"format", "reason", "date_from", "date_to", "store_ids", "rows_total"}
    caller.record(constraints=export.model_dump(mode="json", include=told, exclude_none=True))
    if export.expires_at <= datetime.now(UTC):
        raise Conflict("The export has expired; ask for it again.")
    serving.long_reads.require_room()
    file = _file(export, caller)
    receipts = {"date_from": export.date_from, "date_to": export.date_to, "store_ids": export.store_ids}
    body = file_of(serving, Wanted(export_id, caller.principal, receipts), file)
    name = f"receipts-{export.date_from}-{export.date_to}-{str(export_id)[:8]}.{export.format}"
    return StreamedAnswer(body, file.media_type, name)


async def record_export(context: ServingContext, principal: Principal, wish: ReceiptExportWish) -> ReceiptExport:
    """Count what is asked for and write it down. Raises InvalidInput for more than one export takes."""
    params = wish.model_dump()
    async with scoped(context.pool, principal) as connection:
        await connection.execute(_SQL["allow_counting"], (str(_COUNTING_MS),))
        counting = await connection.execute(_SQL["count_lines"], params | {"most": _MOST_RECEIPTS + 1})
        receipts, lines = await counting.fetchone() or (0, 0)
        if receipts > _MOST_RECEIPTS:
            raise InvalidInput(
                "date_to",
                f"more than {_MOST_RECEIPTS:,} receipts, the most of one export: ask for fewer days or stores",
            )
        cursor = connection.cursor(row_factory=class_row(ReceiptExport))
        made = await (await cursor.execute(_SQL["record_export"], params | {"rows_total": lines})).fetchone()
    assert made is not None
    return made


async def list_exports(
    context: ServingContext, principal: Principal, export_id: UUID | None = None
) -> list[ReceiptExport]:
    """Return a principal's own newest exports, or the one that is named."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=class_row(ReceiptExport))
        await cursor.execute(_SQL["list_exports"], {"export_id": export_id, "rows": _SHOWN})
        return await cursor.fetchall()


async def find_export(context: ServingContext, principal: Principal, export_id: UUID) -> ReceiptExport:
    """Return one of a principal's own exports. Raises NotFound."""
    found = await list_exports(context, principal, export_id)
    if not found:
        raise NotFound
    return found[0]


def _file(export: ReceiptExport, caller: Caller) -> FileFormat:
    if export.format == "csv":
        return CsvFile()
    return ParquetFile(
        {
            "export_id": str(export.export_id),
            "exported_by": export.requested_by,
            "audit_request_id": caller.exchange.request_id,
        }
    )


def build_app(settings: Settings) -> FastAPI:
    """Return the export application."""
    return build_api("Receipt exports", serving_context(settings, application="export"), [router], purpose="export")
