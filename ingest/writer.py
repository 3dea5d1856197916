"""The one task that writes: groups the records of all streams and commits each group once."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from configs.settings import IngestSettings
from ingest.backoff import delays
from ingest.link import Link
from ingest.numbering import GATEWAYS, Numbering
from ingest.recording import next_numbering, record_group
from ingest.records import Incoming, StorePlace, StoreRow
from ingest.store_directory import StoreDirectory
from ingest.validation import Origin, refuse

_log = logging.getLogger(__name__)


class OnReady(Protocol):
    """Hears whether Postgres takes writes."""

    async def __call__(self, *, ready: bool) -> None:
        """Take note of a change."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """The records of one message and what to call once they are durable."""

    records: Sequence[Incoming]
    on_durable: Callable[[], None]


class Writer:
    """Commits in the order of submission. `on_ready` hears whether Postgres takes writes, at each change."""

    def __init__(
        self,
        link: Link,
        directory: StoreDirectory,
        settings: IngestSettings,
        on_ready: OnReady,
    ) -> None:
        self._link = link
        self._directory = directory
        self._settings = settings
        self._on_ready = on_ready
        self._queue: asyncio.Queue[Submission] = asyncio.Queue()
        self._queued_records = 0
        self._ready: bool | None = None  # not known yet
        self._numbering = Numbering(secrets.randbelow(GATEWAYS))  # until Postgres gives it a number of its own

    @property
    def ready(self) -> bool:
        """Say whether Postgres took the last write."""
        return self._ready is True

    def submit(self, submission: Submission) -> None:
        """Queue the records of a message."""
        self._queued_records += len(submission.records)
        self._queue.put_nowait(submission)

    async def run(self) -> None:
        """Write groups until cancelled; a group is given up never, so nothing submitted is lost while this runs."""
        await self._connect()
        while True:
            group = await self._next_group()
            await self._write(self._numbering.number(record for submission in group for record in submission.records))
            for submission in group:
                submission.on_durable()
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until everything submitted is durable."""
        await self._queue.join()

    async def _next_group(self) -> list[Submission]:
        group = [await self._queue.get()]
        if self._queued_records < self._settings.batch_records:
            await asyncio.sleep(self._settings.flush_ms / 1000)
        count = len(group[0].records)
        while count < self._settings.batch_records and not self._queue.empty():
            group.append(self._queue.get_nowait())
            count += len(group[-1].records)
        self._queued_records -= count
        return group

    async def _write(self, records: Sequence[Incoming]) -> None:
        """Commit records; try for as long as it takes, and part them when Postgres refuses what one of them holds."""
        for delay in delays(0.05, 1.0):
            try:
                async with self._link.transaction() as connection:
                    await record_group(connection, records)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                await self._write_apart(records, error)
                return
            except psycopg.Error as error:
                await self._say(ready=False, problem=error)
                await asyncio.sleep(delay)
            else:
                await self._say(ready=True)
                stores = (record.row for record in records if isinstance(record.row, StoreRow))
                self._directory.learn((row.store_id, StorePlace(row.region_id, row.time_zone)) for row in stores)
                return

    async def _write_apart(self, records: Sequence[Incoming], error: psycopg.Error) -> None:
        """Write halves by themselves, down to the one record that Postgres does not take: that one is refused."""
        if len(records) > 1:
            middle = len(records) // 2
            await self._write(records[:middle])
            await self._write(records[middle:])
            return
        row = records[0].bronze
        if row.refusal is not None:
            raise error  # a refusal is plain text: if Postgres takes not even that, the schema is wrong
        _log.error("Postgres refused a validated record of %s: SQLSTATE %s", row.bronze_table, error.sqlstate)
        reason = f"The database does not accept this record (SQLSTATE {error.sqlstate})."
        await self._write([refuse(row.payload.encode(), reason, Origin(row.bronze_table, row.source, row.received_at))])

    async def _connect(self) -> None:
        for delay in delays(0.05, 1.0):
            try:
                async with self._link.transaction() as connection:
                    self._numbering = await next_numbering(connection)
            except psycopg.Error as error:
                await self._say(ready=False, problem=error)
                await asyncio.sleep(delay)
            else:
                await self._say(ready=True)
                return

    async def _say(self, *, ready: bool, problem: psycopg.Error | None = None) -> None:
        """Tell and log a change; while Postgres stays away nothing is repeated."""
        if ready == self._ready:
            return
        if problem is not None:
            _log.error("Postgres takes no writes, tills are held: %s", type(problem).__name__)
        else:
            _log.info("Postgres takes writes.")
        self._ready = ready
        await self._on_ready(ready=ready)
