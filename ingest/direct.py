"""The direct way: a group of records goes straight into Bronze, each once, while Postgres takes no writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from deltalake import Transaction

from configs.settings import IngestSettings
from ingest.bronze_writing import DIRECT, BronzeUnavailable, Overtaken, Row, commit_rows, open_for_append
from ingest.recall import Recall
from ingest.records import OutboxRow
from receipts.bronze import TABLES
from receipts.lake import Lake, LakeTable

_TABLES = tuple(reversed(TABLES))  # stores before the receipts that name them
_PATIENCE_S = 30.0  # for one group; a lake that hangs for longer counts as away


class DirectWay:
    """Appends groups to Bronze in a thread of its own, one after another."""

    def __init__(self, lake: Lake, settings: IngestSettings) -> None:
        self._lake = lake
        self._recalls = {table.name: Recall(settings.recall_hours) for table in TABLES}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest-direct")
        self._under_way: Future[list[OutboxRow]] | None = None

    async def prepare(self) -> None:
        """Learn what Bronze holds, so that the first group need not wait for it. Raises BronzeUnavailable."""
        await self._run(self._learn)

    async def write(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Return the rows that were new once all of them are durable in Bronze.

        Raises BronzeUnavailable when the lake takes no writes; what it holds by then is found by the next attempt.
        """
        return await self._run(lambda: self._write(rows))

    async def close(self) -> None:
        """Wait for a commit that is under way."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, work: Callable[[], list[OutboxRow]]) -> list[OutboxRow]:
        """Run in the thread, but wait no longer than is sensible, also for what an attempt before left under way."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if self._under_way is not None and not self._under_way.done():
                    await asyncio.wait([asyncio.wrap_future(self._under_way)])
                self._under_way = self._thread.submit(work)
                return await asyncio.shield(asyncio.wrap_future(self._under_way))
        except TimeoutError as error:
            raise BronzeUnavailable(BronzeUnavailable.__doc__) from error

    def _learn(self) -> list[OutboxRow]:
        for table in _TABLES:
            self._recalls[table.name].catch_up(open_for_append(self._lake, table))
        return []

    def _write(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        new: list[OutboxRow] = []
        for table in _TABLES:
            mine = [row for row in rows if row.bronze_table == table.name]
            if mine:
                new += self._append(table, mine)
        return new

    def _append(self, table: LakeTable, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        recall = self._recalls[table.name]
        while True:
            head = open_for_append(self._lake, table)
            recall.catch_up(head)
            new = recall.unknown(rows)
            if not new:
                return new
            try:
                number = head.transaction(DIRECT) + 1
                version = commit_rows(head, [_bronze_row(row) for row in new], [Transaction(DIRECT, number)])
            except Overtaken:
                continue
            recall.learn(new, after=head.version, version=version)
            return new


def _bronze_row(row: OutboxRow) -> Row:
    digest = row.payload_digest.hex()
    return (
        row.record_key, row.store_id, row.sequence, row.received_at, row.source, digest, row.payload, row.refusal
    )  # fmt: skip
