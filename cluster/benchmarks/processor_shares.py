"""Whose processor time a benchmark took: HAProxy, replicas, Postgres, the rest of Ray, and the driver itself."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence

import psutil

DRIVER, POSTGRES, HAPROXY, REPLICA, RAY = "driver", "Postgres", "HAProxy", "replicas", "the rest of Ray"


def shares(roots: Sequence[psutil.Process]) -> dict[str, float]:
    """Return seconds by kind of process: of these and their descendants, and of this process.

    What ended in between, such as a Postgres worker, is in its parent's `children_*` times once it was waited for.
    """
    seconds = defaultdict[str, float](float, {DRIVER: _seconds(psutil.Process())})
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds[_kind(" ".join(process.cmdline()) or process.name())] += _seconds(process)
    return seconds


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _kind(command: str) -> str:
    if "postgres" in command.split(" ", 1)[0]:
        return POSTGRES
    if "haproxy" in command.split(" ", 1)[0]:
        return HAPROXY
    if "ServeReplica:" in command or "loadtest.bench.naked_lookup" in command:
        return REPLICA  # with those that idle: a hundredth of a core each
    return RAY
