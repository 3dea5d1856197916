"""The trail's copy kept up: groups, events and anchors, one after the other, as often as the settings say."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import polars as pl
from deltalake.exceptions import DeltaError

from configs.settings import Settings
from data_jobs.audit_trail import Connection
from data_jobs.trail.anchoring import anchor_groups
from data_jobs.trail.copying import Copied, copy_groups, find_newest, take_apart
from data_jobs.trail.keys import signing_keys
from data_jobs.trail.place import AnchorsContradict, place_of, publish
from receipts.lake import Lake, lake_of
from receipts.logs import described

_LOG = logging.getLogger(__name__)
_STEP_S = 1.0  # of a round: a backlog does not hold receipts up, and is not kept for a commit a round


def copy_trail(settings: Settings, connection: Connection) -> Iterator[Copied]:
    """Bring the lake's copy up to date, yielding after every commit; safe to repeat and to kill.

    `connection` belongs to the pipeline's role, and only one process does this at a time.
    """
    lake = lake_of(settings)
    yield from copy_groups(lake, connection)
    yield from take_apart(lake)
    yield from anchor_groups(lake, signing_keys(settings))
    _publish(settings, lake)


def keep_trail(settings: Settings, connection: Connection) -> Iterator[None]:
    """Do a step of the copy with every `next`, and nothing where nothing is new; never ends."""
    known, due = -1, time.monotonic()
    while True:
        if time.monotonic() >= due and (newest := find_newest(connection)) != known:
            began = time.monotonic()
            for done in copy_trail(settings, connection):
                _LOG.info("%s", done)
                if time.monotonic() - began > _STEP_S:
                    yield
                    began = time.monotonic()
            known, due = newest, time.monotonic() + settings.audit.copy_interval_s
        yield


def _publish(settings: Settings, lake: Lake) -> None:
    """Write anchors to the second place; a place that is away is made up for at the next copy."""
    place = place_of(settings)
    if place is None:
        return
    try:
        publish(lake, place)
    except AnchorsContradict as error:
        _LOG.error("The audit trail's anchors were changed: %s", error)
    except (OSError, ValueError, DeltaError, pl.exceptions.PolarsError) as error:  # whatever ails the store
        _LOG.warning("No anchors could be written to %s: %s", place.root, described(error))
