"""How the platform is, for administrators: what the monitor saw last, and how long ago that was."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, ValidationError

from configs.settings import Settings
from receipts.access import Permission, Principal
from receipts.sql import load_sql
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.scoped import scoped
from serve_apps.serving import Serving, ServingContext

_SQL = load_sql("serve_apps", "platform_status")
_START = "receipts up; the monitor's log is state_dir/log/monitor.log"
router = APIRouter()
Operator = Annotated[Caller, Depends(guard(Permission.OPERATE))]


class Seen(BaseModel):
    """A part of what was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlatformProblem(Seen):
    """Something that is wrong, and what to do about it; one that is not `ill` can wait until the morning."""

    what: str
    do: str
    ill: bool


class PlatformPart(Seen):
    """A part of the platform where the monitor runs."""

    name: str
    what: str
    state: Literal["healthy", "unhealthy", "down"]
    uptime_s: float | None = None


class TableFreshness(Seen):
    """How far a table is behind what it is made from, in the lake or in Postgres, whichever is worse."""

    table: str
    lag_s: float
    promised_s: float


class IngestState(Seen):
    """What waits for Bronze and for how long, and what was refused."""

    outbox: int
    outbox_oldest_s: float
    quarantine_held: int
    quarantine_replayed: int


class AuditState(Seen):
    """How much of the audit trail cannot be searched or is not anchored yet, and its faults."""

    unprojected_oldest_s: float
    unanchored_oldest_s: float
    anchor_age_s: float | None
    faults: int


class ApplicationRates(Seen):
    """Replicas of an application on the monitor's node, and its last minute; null where nothing was asked."""

    application: str
    replicas: int
    wanted: int
    requests_per_s: float | None = None
    p95_ms: float | None = None


class NightlyJob(Seen):
    """The last attempt at a nightly job. `error` is the kind of failure; its words stand in the pipeline's log."""

    job: str
    night: date
    started_at: datetime
    ended_at: datetime
    steps: int
    error: str | None


class Bulletin(Seen):
    """What the monitor saw, as far as the machines let it out; `ingest` and `audit` are null without Postgres."""

    healthy: bool
    problems: tuple[PlatformProblem, ...]
    parts: tuple[PlatformPart, ...] = ()
    freshness: tuple[TableFreshness, ...] = ()
    ingest: IngestState | None = None
    audit: AuditState | None = None
    serving: tuple[ApplicationRates, ...] = ()
    nightly: tuple[NightlyJob, ...] = ()


class PlatformStatus(Bulletin):
    """The bulletin with its age. Both times are null while no monitor has told anything."""

    looked_at: datetime | None
    age_s: float | None


@router.get("/status")
async def status(caller: Operator, serving: Serving) -> PlatformStatus:
    """Return what the monitor saw last; a monitor that has fallen silent is the first of the problems."""
    return await find_status(serving, caller.principal)


async def find_status(context: ServingContext, principal: Principal) -> PlatformStatus:
    """Return the last bulletin with its age."""
    async with scoped(context.pool, principal) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(_SQL["find_status"], {"principal_id": principal.principal_id})
        row = await cursor.fetchone()
    if row is None:
        return _silent("The monitor has not told anything yet.")
    try:
        seen = Bulletin.model_validate(row["told"])
    except ValidationError:  # one of two versions while the platform is being updated
        return _silent("The monitor is of another version than this replica.")
    return _aged(seen, row["looked_at"], row["age_s"], context.settings)


def _aged(seen: Bulletin, looked_at: datetime, age_s: float, settings: Settings) -> PlatformStatus:
    told = {**dict(seen), "looked_at": looked_at, "age_s": round(age_s, 1)}
    if age_s > settings.monitor.late_s:
        late = PlatformProblem(what=f"The monitor has not told for {age_s:.0f} s.", do=_START, ill=True)
        told |= {"healthy": False, "problems": (late, *seen.problems)}
    return PlatformStatus.model_validate(told)


def _silent(what: str) -> PlatformStatus:
    problem = PlatformProblem(what=what, do=_START, ill=True)
    return PlatformStatus(looked_at=None, age_s=None, healthy=False, problems=(problem,))
