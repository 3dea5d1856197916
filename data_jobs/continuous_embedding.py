"""Embeddings beside the rounds: one thread, begun when products changed: at once for many, at intervals for few."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

from receipts.logs import described

_LOG = logging.getLogger(__name__)
MANY = 512  # texts that are worth starting a pool: that takes as much processor time as embedding some hundred
_LOOK_S = 10.0  # between two looks at what is missing
_TAIL_S = 60.0  # after many, when there are few left of them
_RETRY_S = 300.0


class EmbeddingFailed(Exception):
    """Products could not be embedded."""


class Embedding:
    """The work of a thread of its own, which is told how few texts not to begin for and returns how many it embedded.

    Many texts are embedded as they come, few once in an interval. Everything here is called by the thread that refines.
    """

    def __init__(
        self, embed: Callable[[int], int], thread: ThreadPoolExecutor, interval_s: float, look_s: float = _LOOK_S
    ) -> None:
        self._embed = embed
        self._thread = thread
        self._interval_s = interval_s
        self._look_s = look_s
        self._running: Future[int] | None = None
        self._least = 1  # texts that the thread was told to begin for
        self._wanted = True  # what a process before this one left undone
        self._not_before = 0.0
        self._few_not_before = 0.0
        self._failures = 0

    @property
    def is_running(self) -> bool:
        """Say whether the thread is at work: then it alone may commit embeddings."""
        return self._running is not None

    def want(self) -> None:
        """Ask for another look at the products, after the one that is under way."""
        self._wanted = True

    def turn(self) -> None:
        """Take note of what has ended, and begin what is wanted."""
        if self._running is not None and self._running.done():
            done, self._running = self._running, None
            error = done.exception()
            if error is None:
                self._rest(done.result())
            else:
                _LOG.warning("Products could not be embedded, and will be tried again: %s", described(error))
                self._failures += 1
                self._wanted, self._not_before = True, monotonic() + _RETRY_S
        if self._wanted and self._running is None and monotonic() >= self._not_before:
            self._least = 1 if monotonic() >= self._few_not_before else MANY
            self._running, self._wanted = self._thread.submit(self._embed, self._least), False

    def _rest(self, embedded: int) -> None:
        now = monotonic()
        self._not_before = now + self._look_s
        if embedded:
            self._few_not_before = now + (min(_TAIL_S, self._interval_s) if embedded >= MANY else self._interval_s)
        elif self._least > 1:
            self._wanted = True  # there may be few

    def run_once(self) -> Iterator[object]:
        """Embed what is missing and wait for it, as the steps of a nightly job. Raises EmbeddingFailed."""
        before = self._failures
        self._wanted, self._not_before, self._few_not_before = True, 0.0, 0.0
        while self._failures == before and (self._wanted or self.is_running):
            yield None
        if self._failures > before:
            raise EmbeddingFailed(str(EmbeddingFailed.__doc__))
