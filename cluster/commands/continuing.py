"""The continuous pipeline as a process: it ends on a signal, and begins anew every so often."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from threading import Event, Timer
from typing import TYPE_CHECKING

from configs.settings import Settings
from receipts.logs import start_logs

if TYPE_CHECKING:
    from data_jobs.ray_work import PrivateNode

_LOG = logging.getLogger(__name__)
_HOUR_S = 3_600


def run_until_told(settings: Settings, place: str | PrivateNode) -> bool:
    """Refine, sync and embed until SIGTERM or SIGINT, or until it is time to begin anew: true for the latter.

    That is after `pipeline.recycle_hours`, because Ray Data keeps some 27 KB of every execution for as long as its
    driver lives, or on SIGUSR1, to take up another version of the code. What runs is finished in each case.
    """
    from data_jobs.priority import ONE_THREAD, stand_back

    os.environ.update(ONE_THREAD)  # a trickle is refined in this process
    from data_jobs.continuous import run_continuously
    from data_jobs.ray_work import joined

    start_logs(settings, "pipeline")
    told, stop = Event(), Event()

    def end(*_: object) -> None:
        told.set()
        stop.set()

    stand_back(settings.pipeline.niceness)
    due = Timer(settings.pipeline.recycle_hours * _HOUR_S, stop.set)
    due.daemon = True
    with joined(place):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)  # after joining: Ray sets handlers that exit at once
        signal.signal(signal.SIGUSR1, lambda *_: stop.set())
        due.start()
        run_continuously(settings, stop)
        due.cancel()
    return not told.is_set()


def begin_anew(environment: Mapping[str, str]) -> None:
    """Put a new process in the place of this one, with its number, its output and the environment it began with.

    Nothing is under way, and the last commits say where to go on. A signal that arrives at this very moment is lost;
    whoever sent it kills the process after waiting, which costs no more than any other kill.
    """
    _LOG.info("A new process takes the place of this one.")
    os.execve(sys.executable, [sys.executable, "-m", "cluster.commands", *sys.argv[1:]], dict(environment))  # noqa: S606  ourselves
