"""What a till has taken from its source and the gateway has not acknowledged yet, across reconnections."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that travel in one message; `last` is the source's own number of the last of them."""

    records: tuple[bytes, ...]
    last: int
    size: int  # bytes


class Source(Protocol):
    """Where batches come from, in order."""

    def ready(self) -> bool:
        """Say whether `take` would return at once. Only `take` may make it false again."""
        ...

    def take(self) -> Batch | None:
        """Return the next batch, or None when there will never be another one."""
        ...

    def release(self, last: int) -> None:
        """Forget the records up to a number: the gateway has made them durable."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """How much may be under way: taken and not yet acknowledged."""

    batches: int
    size: int  # bytes; the batch that crosses it is the last one


class Ledger:
    """Batches in order: taken from the source once, sent as often as it takes, dropped when acknowledged.

    Shared by the thread that reads acks, the one in which gRPC asks for messages and the one that watches for
    silence. Wire offsets start at 0 in each session, so a new session must `begin`.
    """

    def __init__(self, source: Source, window: Window) -> None:
        self._source = source
        self._window = window
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._unacked: deque[Batch] = deque()
        self._unacked_bytes = 0
        self._session = 0
        self._open = False  # whether the gateway said that the stream is open
        self._stopped = False  # whether no further batch may flow in this session
        self._base = 0  # the wire offset of the first unacknowledged batch in this session
        self._position = 0  # how many of the unacknowledged batches were sent in this session
        self._heard_at = 0.0  # monotonic; when the gateway last did what it owed, or began to owe something
        self._exhausted = False
        self.taken = 0
        self.acked = 0
        self.failure: Exception | None = None  # what the source raised

    @property
    def complete(self) -> bool:
        """Say whether the source is used up and everything is acknowledged."""
        with self._changed:
            return self._exhausted and not self._unacked

    @property
    def is_open(self) -> bool:
        """Say whether the gateway has opened the stream of this session."""
        return self._open

    def begin(self) -> int:
        """Start a session and return its number; what is not acknowledged will be sent again."""
        with self._changed:
            self._session += 1
            self._open, self._stopped, self._base, self._position = False, False, 0, 0
            self._heard_at = time.monotonic()
            return self._session

    def opened(self) -> None:
        """Let batches flow: the gateway opened the stream."""
        with self._changed:
            self._open, self._heard_at = True, time.monotonic()
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no further batch flow in this session; acks still count."""
        with self._changed:
            self._stopped, self._heard_at = True, time.monotonic()
            self._changed.notify_all()

    def end(self) -> None:
        """End the session: every thread that serves it leaves."""
        with self._changed:
            self._session += 1
            self._open = False
            self._changed.notify_all()

    def wake(self) -> None:
        """Look at the source again: it has become ready."""
        with self._changed:
            self._changed.notify_all()

    def acknowledge(self, offset: int) -> None:
        """Drop batches up to a wire offset of this session, and release them at the source.

        An offset beyond what was sent counts for what was sent: nothing is forgotten that never travelled.
        """
        last: int | None = None
        with self._changed:
            while self._position and self._base <= offset:
                batch = self._unacked.popleft()
                self._unacked_bytes -= batch.size
                self.acked += len(batch.records)
                self._base += 1
                self._position -= 1
                last, self._heard_at = batch.last, time.monotonic()
            self._changed.notify_all()
        if last is not None:
            self._source.release(last)

    def batches(self, session: int) -> Iterator[tuple[int, Batch]]:
        """Yield offset and batch until the session stops or the source is used up; waits for room in the window."""
        while (found := self._next(session)) is not None:
            yield found

    def is_silent(self, session: int, limit_s: float) -> bool:
        """Wait until the session ends (False) or the gateway has owed an answer for `limit_s` (True)."""
        with self._changed:
            while self._session == session:
                # An idle stream is owed nothing: it may stay open without a word for hours.
                owed = not self._open or self._stopped or self._exhausted or self._position > 0
                left_s = self._heard_at + limit_s - time.monotonic() if owed else limit_s
                if left_s <= 0:
                    return True
                self._changed.wait(left_s)
            return False

    def _over(self, session: int) -> bool:
        return self._stopped or self._session != session

    def _can_send(self) -> bool:
        if not self._open:
            return False
        if self._position < len(self._unacked):
            return True
        has_room = len(self._unacked) < self._window.batches and self._unacked_bytes < self._window.size
        return has_room and (self._exhausted or self._source.ready())

    def _next(self, session: int) -> tuple[int, Batch] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over(session) or self._can_send())
        self._take(session)
        with self._changed:
            if self._over(session) or self._position >= len(self._unacked):
                return None
            if self._position == 0:
                self._heard_at = time.monotonic()
            offset, batch = self._base + self._position, self._unacked[self._position]
            self._position += 1
            self._changed.notify_all()
            return offset, batch

    def _take(self, session: int) -> None:
        """Take one batch from the source unless there is one to send, or the session ended meanwhile."""
        with self._taking:
            if self._over(session) or self._exhausted or self._position < len(self._unacked):
                return
            try:
                batch = self._source.take()
            except Exception as error:  # noqa: BLE001 - raised again in the till's own thread
                self.failure, batch = error, None
            with self._changed:
                if batch is None:
                    self._exhausted = True
                else:
                    self._unacked.append(batch)
                    self._unacked_bytes += batch.size
                    self.taken += len(batch.records)
