"""Embeddings beside the rounds: one thread, begun when products changed, again only after a rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

_LOG = logging.getLogger(__name__)
_REST_S = 120.0  # starting a pool and its models takes more than embedding the few products of a round
_LOOK_REST_S = 10.0  # after a run that found nothing to embed and started none
_RETRY_S = 300.0


class EmbeddingFailed(Exception):
    """Products could not be embedded."""


class Embedding:
    """The work of a thread of its own, which returns how much it embedded.

    Everything here is called by the thread that refines.
    """

    def __init__(
        self,
        embed: Callable[[], int],
        thread: ThreadPoolExecutor,
        rest_s: float = _REST_S,
        look_rest_s: float = _LOOK_REST_S,
    ) -> None:
        self._embed = embed
        self._thread = thread
        self._rest_s = rest_s
        self._look_rest_s = look_rest_s
        self._running: Future[int] | None = None
        self._wanted = True  # what a process before this one left undone
        self._not_before = 0.0
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
            if error is not None:
                _LOG.warning("Products could not be embedded, and will be tried again: %s", error)
                self._failures += 1
                self._wanted, self._not_before = True, monotonic() + _RETRY_S
            else:
                self._not_before = monotonic() + (self._rest_s if done.result() else self._look_rest_s)
        if self._wanted and self._running is None and monotonic() >= self._not_before:
            self._running, self._wanted = self._thread.submit(self._embed), False

    def run_once(self) -> Iterator[object]:
        """Embed what is missing and wait for it, as the steps of a nightly job. Raises EmbeddingFailed."""
        before = self._failures
        self._wanted, self._not_before = True, 0.0
        while self._failures == before and (self._wanted or self.is_running):
            yield None
        if self._failures > before:
            raise EmbeddingFailed(str(EmbeddingFailed.__doc__))
