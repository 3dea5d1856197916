"""Processor time of a process and all it started, those that have ended included."""

from __future__ import annotations

import contextlib

import psutil


def processor_seconds(root: psutil.Process) -> float:
    """Return user and system seconds of a process and its descendants since they started.

    What a child that ended used is in its parent's `children_*` times once it was waited for.
    """
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked: its parent counts it the next time
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
