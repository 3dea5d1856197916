"""Bringing the platform up and down: in order, one caller at a time, and safe to repeat after any interruption."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from cluster.errors import PlatformError
from cluster.parts import PARTS, Part
from configs.settings import Settings


class Step(StrEnum):
    """What happens to a part at the moment."""

    STARTING = "starting"
    READY = "ready"
    UNTOUCHED = "already running"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def is_under_way(self) -> bool:
        """Say whether the part is still at it."""
        return self in {Step.STARTING, Step.STOPPING}


Report = Callable[[Part, Step], None]


def choose_parts(names: Sequence[str] | None) -> tuple[Part, ...]:
    """Return the named parts in starting order, all without names. Raises PlatformError on an unknown name."""
    known = [part.name for part in PARTS]
    for name in names or ():
        if name not in known:
            raise PlatformError(f"There is no part {name!r}; the parts are {', '.join(known)}.")
    return tuple(part for part in PARTS if names is None or part.name in names)


def bring_up(settings: Settings, parts: Sequence[Part], report: Report) -> None:
    """Start what does not run and leave what is healthy; a part whose ground was restarted is restarted too."""
    with alone(settings):
        started: set[str] = set()
        for part in parts:
            if part.is_healthy(settings) and not started.intersection(part.needs):
                # The database may be running and yet lack a migration that came with an update.
                if part.name == "postgres":
                    part.start(settings)
                report(part, Step.UNTOUCHED)
                continue
            report(part, Step.STARTING)
            part.start(settings)
            started.add(part.name)
            report(part, Step.READY)


def bring_down(settings: Settings, parts: Sequence[Part], report: Report) -> None:
    """Stop what `bring_up` started, last first, and return when it is gone; a server of your own is left alone."""
    with alone(settings):
        for part in reversed(parts):
            report(part, Step.STOPPING)
            part.stop(settings)
            report(part, Step.STOPPED)


@contextmanager
def alone(settings: Settings) -> Generator[None]:
    """Hold the platform's lock, which ends with the process that holds it, however it ends."""
    lock = settings.state_dir.resolve() / "run" / "up.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlatformError(
                "Another `receipts up`, `down` or `replicas` is at work; wait until it has ended."
            ) from None
        yield
