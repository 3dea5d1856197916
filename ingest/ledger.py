"""What a till has taken from its source and the gateway has not acknowledged yet, across reconnections."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

Batch = Sequence[bytes]


class Ledger:
    """Batches in order: taken from the source once, sent as often as it takes, dropped when acknowledged.

    Shared by the thread that reads acks and the thread in which gRPC asks for messages. Wire offsets start at 0 in
    each session, so a new session must `begin`.
    """

    def __init__(self, source: Iterator[Batch], window: int) -> None:
        self._source = source
        self._window = window
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._unacked: deque[Batch] = deque()
        self._session = 0
        self._open = False  # whether the gateway said that the stream is open, and nothing ended it
        self._base = 0  # the wire offset of the first unacknowledged batch in this session
        self._position = 0  # how many of the unacknowledged batches were sent in this session
        self._exhausted = False
        self.taken = 0
        self.acked = 0
        self.failure: Exception | None = None  # what the source raised

    @property
    def complete(self) -> bool:
        """Say whether the source is used up and everything is acknowledged."""
        with self._changed:
            return self._exhausted and not self._unacked

    def begin(self) -> int:
        """Start a session and return its number; what is not acknowledged will be sent again."""
        with self._changed:
            self._session += 1
            self._open, self._base, self._position = False, 0, 0
            return self._session

    def opened(self) -> None:
        """Let batches flow: the gateway opened the stream."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def end(self) -> None:
        """Let no further batch flow in this session."""
        with self._changed:
            self._session += 1
            self._changed.notify_all()

    def acknowledge(self, offset: int) -> None:
        """Drop batches up to a wire offset of this session."""
        with self._changed:
            while self._unacked and self._base <= offset:
                self.acked += len(self._unacked.popleft())
                self._base += 1
                self._position -= 1
            self._changed.notify_all()

    def batches(self, session: int) -> Iterator[tuple[int, Batch]]:
        """Yield offset and batch of a session until it ends or the source is used up; waits for room in the window."""
        while (found := self._next(session)) is not None:
            yield found

    def _next(self, session: int) -> tuple[int, Batch] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._session != session or (self._open and self._position < self._window))
        if self._position >= len(self._unacked):
            self._take()
        with self._changed:
            if self._session != session or self._position >= len(self._unacked):
                return None
            offset, batch = self._base + self._position, self._unacked[self._position]
            self._position += 1
            return offset, batch

    def _take(self) -> None:
        """Take one batch from the source unless another session's thread, late, has just done so."""
        with self._taking:
            if self._exhausted or self._position < len(self._unacked):
                return
            try:
                batch = next(self._source, None)
            except Exception as error:  # noqa: BLE001 - raised again in the till's own thread
                self.failure, batch = error, None
            with self._changed:
                if batch is None:
                    self._exhausted = True
                else:
                    self._unacked.append(batch)
                    self.taken += len(batch)
