"""The nightly jobs of the platform, as the settings time them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import time, timedelta

from configs.settings import Settings
from data_jobs.trail.retention import retire
from data_jobs.upkeep.compaction import compact
from data_jobs.upkeep.database import Connection, list_readers, make_audit_partitions
from data_jobs.upkeep.nightly import Job, Steps, utc_now
from data_jobs.upkeep.retention import retain
from data_jobs.upkeep.vacuum import Limits, vacuum
from receipts.lake import Lake, lake_of

_LOG = logging.getLogger(__name__)


def nightly_jobs(settings: Settings, connection: Connection, embed: Callable[[], Steps]) -> tuple[Job, ...]:
    """Return the jobs that are not switched off. `connection` belongs to the pipeline's role."""
    lake = lake_of(settings)
    begun: dict[str, Callable[[], Steps]] = {
        "audit_partitions": lambda: _partition(connection),
        "retention": lambda: retain(lake, utc_now().date()),
        "compaction": lambda: compact(lake, thorough=True),
        "audit_retention": lambda: retire(settings, utc_now().date()),
        "vacuum": lambda: vacuum(lake, list_readers(connection), limits_of(settings)),
        "embeddings": embed,
    }
    times: dict[str, time | None] = {name: getattr(settings.nightly, name) for name in begun}
    return tuple(Job(name, at, begun[name]) for name, at in times.items() if at is not None)


def limits_of(settings: Settings) -> Limits:
    """Return how long versions are kept."""
    return Limits(history=timedelta(days=settings.nightly.history_days))


def tidy(lake: Lake, every: int) -> Iterator[None]:
    """Bring small files together with every `every`th `next`, a group at a time; never ends.

    By night alone a table would gather ten thousands of them.
    """
    while True:
        for _ in range(every):
            yield
        for done in compact(lake, thorough=False):
            _LOG.info("%s", done)
            yield


def _partition(connection: Connection) -> Steps:
    make_audit_partitions(connection)
    yield "The audit trail has partitions for this month and the next"
