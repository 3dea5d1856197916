"""Jobs that run once a night beside the rounds: step by step, so that none holds refinement up.

That a job is done stands in the lake, as a transaction of the table of nightly events: whichever process refines, and
however often it starts, a job runs once for each night. Nights that nobody was up for are made up for once; a new
platform waits for its first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake

from data_jobs.declaration import polars_schema
from data_jobs.tables.events_nightly import TABLE
from receipts.lake import Lake
from receipts.logs import described

_LOG = logging.getLogger(__name__)
_RETRY = timedelta(minutes=15)

Steps = Iterator[object]  # each is told in the log; None is for waiting


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and at what time of the day in UTC."""

    name: str
    at: time
    begin: Callable[[], Steps]

    @property
    def application(self) -> str:
        """Return the application whose transaction is the last night that is done, as its ordinal."""
        return f"nightly {self.name}"

    def night(self, now: datetime) -> date:
        """Return the day on which the job was due last."""
        today = now.astimezone(UTC).date()
        return today if datetime.combine(today, self.at, UTC) <= now else today - timedelta(days=1)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def keep_nights(lake: Lake, jobs: Iterable[Job], clock: Callable[[], datetime] = utc_now) -> Iterator[None]:
    """Do a step of what is due with every `next`, one job after the other; never ends.

    A job that fails is logged, recorded, and begun anew a quarter of an hour later.
    """
    in_order = sorted(jobs, key=lambda job: job.at)
    done = _last_nights(lake, in_order, clock())
    again_at: dict[str, datetime] = {}
    while True:
        for job in in_order:
            night, now = job.night(clock()), clock()
            if night.toordinal() <= done[job.name] or now < again_at.get(job.name, now):
                continue
            if (yield from _attempt(lake, job, night, clock)):
                done[job.name] = night.toordinal()
            else:
                again_at[job.name] = clock() + _RETRY
        yield


def list_last(lake: Lake) -> dict[str, dict[str, object]]:
    """Return the last attempt at each job: night, started_at, ended_at, steps, error."""
    if not lake.exists(TABLE.name):
        return {}
    rows = pl.from_arrow(lake.open(TABLE.name).to_pyarrow_table())
    assert isinstance(rows, pl.DataFrame)
    last = rows.sort("started_at").unique("job", keep="last").sort("job")
    return {row.pop("job"): row for row in last.iter_rows(named=True)}


def _last_nights(lake: Lake, jobs: Iterable[Job], now: datetime) -> dict[str, int]:
    """Return the last night that each job is done with; a job that is new is done with all before now."""
    handle = lake.ensure(TABLE.lake_table)
    held = {job: handle.transaction_version(job.application) for job in jobs}
    begin = {job: job.night(now).toordinal() for job, night in held.items() if night is None}
    if begin:
        moved = [Transaction(job.application, night) for job, night in begin.items()]
        properties = CommitProperties(app_transactions=moved, max_commit_retries=3)
        handle.create_write_transaction([], "append", handle.schema(), commit_properties=properties)
    return {job.name: begin[job] if night is None else night for job, night in held.items()}


def _attempt(lake: Lake, job: Job, night: date, clock: Callable[[], datetime]) -> Iterator[None]:
    """Run a job to its end, yielding after every step; answers whether it was done."""
    started, steps, problem = clock(), 0, None
    _LOG.info("The nightly job %s begins", job.name)
    try:
        for step in job.begin():
            if step is not None:
                steps += 1
                _LOG.info("%s", step)
            yield
    except Exception as error:  # noqa: BLE001  whatever a job fails of, receipts go on being refined
        problem = described(error)
        _LOG.warning("The nightly job %s failed and is tried again in %s: %s", job.name, _RETRY, problem)
    else:
        _LOG.info("The nightly job %s is done after %d steps", job.name, steps)
    row = {"job": job.name, "night": night, "started_at": started, "ended_at": clock(), "steps": steps}
    _record(lake, job, night, row | {"error": problem})
    return problem is None


def _record(lake: Lake, job: Job, night: date, row: Mapping[str, object]) -> None:
    """Append what became of an attempt; one that was done moves the job's transaction."""
    handle = lake.ensure(TABLE.lake_table)
    moved = [Transaction(job.application, night.toordinal())] if row["error"] is None else None
    rows = pl.DataFrame([row], schema=polars_schema(TABLE.schema))
    write_deltalake(handle, rows.to_arrow(), mode="append", commit_properties=CommitProperties(app_transactions=moved))
