"""Events sent to whoever gathers lineage, from the event table: what could not be sent is sent later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import polars as pl
import requests
from deltalake import CommitProperties, Transaction
from openlineage.client.event_v2 import RunEvent
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

from configs.lineage import LineageSettings
from data_jobs.changes import AFTER, CHANGE, ChangeRange, HistoryGone, find_changes, find_snapshot, read_changes
from data_jobs.commits import cursor_of
from data_jobs.events.openlineage import to_run_events
from data_jobs.events.rows import SCHEMA, Event
from data_jobs.tables.events_pipeline import TABLE
from receipts.lake import Lake
from receipts.logs import described

_LOG = logging.getLogger(__name__)
_STRETCH_BYTES = 1024 * 1024  # of compressed events: what is sent between two moves of the cursor
_NEVER_TAKEN = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events go; `name` tells receivers apart: a new one is told everything there is."""

    name: str
    emit: Callable[[RunEvent], object]


def receiver_of(settings: LineageSettings) -> Receiver | None:
    """Return the receiver that the settings name, or none."""
    if settings.transport == "file":
        assert settings.path is not None, "settings without a path are refused"
        path = settings.path.expanduser().absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return Receiver(f"openlineage to {path}", FileTransport(FileConfig(str(path), append=True)).emit)
    if settings.transport == "http":
        key = settings.api_key
        auth = ApiKeyTokenProvider({"apiKey": key.get_secret_value()}) if key is not None else TokenProvider({})
        # Without retries of its own: the next pass tries again, and the cursor knows from where.
        config = HttpConfig(f"{settings.url.rstrip('/')}/", timeout=settings.timeout_s, auth=auth, retry={"total": 0})
        return Receiver(f"openlineage to {settings.url}", HttpTransport(config).emit)
    return None


def deliver(lake: Lake, receiver: Receiver, namespace: str) -> int:
    """Send what the receiver has not been told, and note how far; returns how many batches were told.

    Raises what the receiver raises when it cannot be told now; a kill before the cursor is moved sends some twice.
    """
    told = 0
    while lake.exists(TABLE.name):
        handle = lake.open(TABLE.name)
        changes = _changes(lake, cursor_of(handle, receiver.name), handle.version())
        if not changes.files:
            break
        rows = read_changes(changes.files, lake.storage_options)
        added = rows.filter(pl.col(CHANGE).is_in(AFTER)).select(SCHEMA.names).sort("committed_at")
        for row in added.iter_rows(named=True):
            told += _send(receiver, lake, Event.from_row(row), namespace)
        properties = CommitProperties(app_transactions=[Transaction(receiver.name, changes.upto)], max_commit_retries=3)
        handle.create_write_transaction([], "append", handle.schema(), commit_properties=properties)
    return told


def _changes(lake: Lake, after: int, head: int) -> ChangeRange:
    try:
        return find_changes(lake, TABLE.name, after, head, _STRETCH_BYTES)
    except HistoryGone:  # the receiver was away for a month: it is told all that is kept
        return find_snapshot(lake, TABLE.name, head)


def _send(receiver: Receiver, lake: Lake, event: Event, namespace: str) -> bool:
    """Send a batch's start and end. What the receiver will never take is left out: it must not hold up the rest."""
    try:
        for each in to_run_events(event, lake, namespace):
            receiver.emit(each)
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code not in _NEVER_TAKEN:
            raise
        _LOG.error("The lineage of %s, run %s, was refused for good: %s", event.table, event.run, described(error))
        return False
    return True
