"""The memory that a process and all it started hold together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_TURN_S = 0.3  # asking a process for its share of pages takes some milliseconds


@dataclass(slots=True)
class Peak:
    """The most that was held at once."""

    bytes: int = 0


@contextmanager
def watching(root: psutil.Process) -> Generator[Peak]:
    """Sample proportional set sizes (shared pages count once) for the length of the block."""
    peak, ended = Peak(), threading.Event()

    def sample() -> None:
        while not ended.wait(_TURN_S):
            peak.bytes = max(peak.bytes, _held(root))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _held(root: psutil.Process) -> int:
    held = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
                held += process.memory_full_info().pss
    return held
