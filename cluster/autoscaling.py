"""How many replicas an application has: enough that none is too busy to answer promptly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ray.serve.config import AutoscalingContext

_BUSY = 0.6  # of a core: beyond it requests wait for each other more than they work
_NAP_S = 0.01
_LATE_S = 0.02  # an event loop that wakes so much later than asked keeps every request waiting


class Load:
    """How busy this process is, told to Serve by each replica.

    Serve's own count of ongoing requests is zero under full load where handlers hardly wait, and does not see what the
    entrance answers.
    """

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._spent_s = time.process_time()

    async def stats(self) -> dict[str, float]:
        """Return the share of a core since the last call, and by how many seconds the event loop wakes late."""
        asked = time.monotonic()
        await asyncio.sleep(_NAP_S)
        now, spent_s = time.monotonic(), time.process_time()
        busy = (spent_s - self._spent_s) / max(now - self._at, _NAP_S)
        self._at, self._spent_s = now, spent_s
        return {"busy": busy, "late_s": max(now - asked - _NAP_S, 0.0)}


def replicas_wanted(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Return how many replicas would each be busy for the share that is fine; Serve keeps it within its bounds.

    Lateness alone adds nothing where the processes are idle: then the machine is short of cores, not of replicas.
    """
    count = max(context.current_num_replicas, 1)
    stats = context.aggregated_metrics or {}
    busy, late_s = _mean(stats.get("busy")), _mean(stats.get("late_s"))
    load = busy / _BUSY
    if load > 0.5:
        load = max(load, min(late_s / _LATE_S, 2.0))
    target = context.config.get_target_ongoing_requests() if context.config is not None else 1
    ongoing = (context.total_num_requests or 0) / (count * target)
    return count * max(load, ongoing), {}


def _mean(by_replica: Mapping[Any, float] | None) -> float:
    values = list((by_replica or {}).values())
    return sum(values) / len(values) if values else 0.0
