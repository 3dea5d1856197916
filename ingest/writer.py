"""The one task that writes: groups the records of all streams and makes each group durable, by one way or the other."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import psycopg

from configs.settings import IngestSettings
from ingest.backoff import delays
from ingest.bronze_writing import BronzeUnavailable
from ingest.direct import DirectWay
from ingest.metrics import Metrics
from ingest.numbering import GATEWAYS, Numbering
from ingest.outbox_way import OutboxWay
from ingest.records import Incoming, OutboxRow, StorePlace, StoreRow
from ingest.store_directory import StoreDirectory
from ingest.submissions import Submission, Submissions
from ingest.tallies import tally
from ingest.traces import group_of
from receipts.tracing import within

_log = logging.getLogger(__name__)
_PROBE_S = 1.0  # how often Postgres is asked whether it is back


class OnReady(Protocol):
    """Hears whether records can be stored."""

    async def __call__(self, *, ready: bool) -> None:
        """Take note of a change."""
        ...


class Writer:
    """Commits in the order of submission: through Postgres, and straight into Bronze while Postgres takes no writes.

    A group is never given up: while neither store takes it both are tried in turn and nothing is acknowledged. It may
    be written to both, when the outcome of a commit is unknown; settlement makes that one record each. `on_ready`
    hears whether either store takes writes, at each change.
    """

    def __init__(
        self,
        outbox: OutboxWay,
        direct: DirectWay,
        directory: StoreDirectory,
        settings: IngestSettings,
        on_ready: OnReady,
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._direct = direct
        self._directory = directory
        self._settings = settings
        self._on_ready = on_ready
        self._metrics = metrics
        self._submissions = Submissions()
        self._postgres_back = asyncio.Event()  # set while Postgres takes writes
        self._postgres_away = asyncio.Event()  # the opposite; neither is set until it was tried
        self._lake_up: bool | None = False  # whether Bronze took the last direct write; None: not tried this time
        self._ready: bool | None = None  # not known yet
        self._numbering = Numbering(secrets.randbelow(GATEWAYS))  # until Postgres gives it a number of its own

    @property
    def ready(self) -> bool:
        """Say whether a store took the last write."""
        return self._ready is True

    def submit(self, submission: Submission) -> None:
        """Queue the records of a message."""
        self._submissions.put(submission)

    async def run(self) -> None:
        """Write groups until cancelled; nothing submitted is given up while this runs."""
        await self._begin()
        async with asyncio.TaskGroup() as tasks:  # if the watch failed alone, nobody would go back to Postgres
            tasks.create_task(self._watch_postgres(), name="ingest-postgres-watch")
            while True:
                group = await self._next_group()
                with within(group_of(group)):
                    await self._write(self._numbering.number(chain.from_iterable(one.records for one in group)))
                self._submissions.done(group)

    async def drain(self) -> None:
        """Wait until everything submitted is durable."""
        await self._submissions.join()

    async def _next_group(self) -> list[Submission]:
        settings = self._settings
        if self._postgres_away.is_set():
            return await self._submissions.take(settings.drain_records, settings.direct_flush_ms / 1000)
        return await self._submissions.take(settings.batch_records, settings.flush_ms / 1000)

    async def _write(self, records: Sequence[Incoming]) -> None:
        """Make records durable, however long it takes."""
        for delay in delays(0.05, 1.0):
            if await self._write_to_outbox(records) or await self._write_directly(records):
                stores = (record.row for record in records if isinstance(record.row, StoreRow))
                self._directory.learn((row.store_id, StorePlace(row.region_id, row.time_zone)) for row in stores)
                return
            await self._pause(delay)

    async def _write_to_outbox(self, records: Sequence[Incoming]) -> bool:
        if self._postgres_away.is_set():
            return False
        try:
            new = await self._outbox.write(records)
        except psycopg.Error as error:
            await self._lose_postgres(error)
            return False
        tally(self._metrics, "outbox", records, new)
        return True

    async def _write_directly(self, records: Sequence[Incoming]) -> bool:
        try:
            new: list[OutboxRow] = await self._direct.write([record.bronze for record in records])
        except BronzeUnavailable as error:
            await self._note_lake(up=False, problem=error)
            return False
        await self._note_lake(up=True)
        tally(self._metrics, "direct", records, new)
        return True

    async def _begin(self) -> None:
        """Learn where the shops are and find a store that takes writes; a gateway may start without Postgres."""
        await self._directory.covering(frozenset())
        for delay in delays(0.05, 1.0):
            try:
                await self._regain_postgres()
            except psycopg.Error as error:
                await self._lose_postgres(error)
            else:
                return
            try:
                await self._direct.prepare()
            except BronzeUnavailable as error:
                await self._note_lake(up=False, problem=error)
            else:
                await self._note_lake(up=True)
                return
            await asyncio.sleep(delay)

    async def _pause(self, delay: float) -> None:
        """Wait, but not once Postgres is back."""
        try:
            await asyncio.wait_for(self._postgres_back.wait(), delay)
        except TimeoutError:
            return

    async def _watch_postgres(self) -> None:
        """While Postgres is away, ask about once a second whether it takes writes again."""
        while True:
            await self._postgres_away.wait()
            await asyncio.sleep(_PROBE_S)
            try:
                await self._regain_postgres()
            except psycopg.Error:
                continue

    async def _regain_postgres(self) -> None:
        self._numbering = (await self._outbox.numbering()).after(self._numbering)
        self._postgres_away.clear()
        self._postgres_back.set()
        self._lake_up = None
        self._metrics.postgres_up.set(1)
        _log.info("Postgres takes writes.")
        await self._tell()

    async def _lose_postgres(self, problem: psycopg.Error) -> None:
        if not self._postgres_away.is_set():
            _log.error("Postgres takes no writes, records go straight to Bronze: %s", type(problem).__name__)
        self._postgres_back.clear()
        self._postgres_away.set()
        self._metrics.postgres_up.set(0)
        await self._tell()

    async def _note_lake(self, *, up: bool, problem: Exception | None = None) -> None:
        if problem is not None and self._ready is not False:
            _log.error("Bronze takes no writes either, tills are held: %s", type(problem).__name__)
        self._lake_up = up
        self._metrics.lake_up.set(up)
        await self._tell()

    async def _tell(self) -> None:
        """Tell a change; while nothing changes nothing is repeated."""
        ready = self._postgres_back.is_set() or self._lake_up is not False
        if ready != self._ready:
            self._ready = ready
            await self._on_ready(ready=ready)
