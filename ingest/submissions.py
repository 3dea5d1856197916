"""What streams hand to the writer: queued in order, and taken out in groups."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.records import Incoming

if TYPE_CHECKING:
    from receipts.spans import Span

_GROUP_BYTES = 32 * 2**20  # as one transaction: Postgres holds the arrays of a statement in memory, three times over


@dataclass(frozen=True, slots=True)
class Submission:
    """The records of one message, what to call once they are durable, and their bytes."""

    records: Sequence[Incoming]
    on_durable: Callable[[], None]
    size_bytes: int = 0
    span: Span | None = None  # of the message, where it is traced


class Submissions:
    """A queue for one taker. Bounded by its senders: each stream stops reading beyond its own limits."""

    def __init__(self) -> None:
        self._waiting: deque[Submission] = deque()
        self._records = 0
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, submission: Submission) -> None:
        """Queue the records of a message."""
        self._waiting.append(submission)
        self._records += len(submission.records)
        self._arrived.set()
        self._empty.clear()

    async def take(self, most_records: int, gather_s: float) -> list[Submission]:
        """Return the next group, which is left in the queue until `done`.

        Waits for the first message, then `gather_s` for others unless the group is full already. A single message may
        be larger than a group.
        """
        await self._arrived.wait()
        if self._records < most_records:
            await asyncio.sleep(gather_s)
        group: list[Submission] = []
        records = size_bytes = 0
        for submission in self._waiting:
            if records >= most_records or size_bytes >= _GROUP_BYTES:
                break
            group.append(submission)
            records += len(submission.records)
            size_bytes += submission.size_bytes
        return group

    def done(self, group: Sequence[Submission]) -> None:
        """Let go of the group that was taken last, and tell its senders that it is durable."""
        for submission in group:
            self._waiting.popleft()
            self._records -= len(submission.records)
            submission.on_durable()
        if not self._waiting:
            self._arrived.clear()
            self._empty.set()

    async def join(self) -> None:
        """Wait until everything submitted is durable."""
        await self._empty.wait()
