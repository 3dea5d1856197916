"""The outbox moves into Bronze: in order, each row exactly once, whatever is killed when.

Synchronous, unlike the rest of this folder: it does one thing after another and Delta commits block anyway. Not to be
called inside a running event loop.

One drainer leads, by a lock that its connection holds; others stand by and ask for it twice a second. Before each
window it settles what Bronze holds and Postgres has not noted (ingest/settlement.py), so that the outbox holds nothing
that Bronze holds; the window is committed only if nobody wrote to Bronze since. That alone makes each row come once.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from configs.settings import Settings
from ingest import refusals
from ingest.backoff import delays
from ingest.bronze_writing import BronzeUnavailable, Head, Overtaken, commit_rows, open_for_append
from ingest.metrics import Metrics
from ingest.settlement import SQL as SETTLEMENT
from ingest.settlement import settle
from receipts.bronze import TABLES
from receipts.database import DatabaseRole, conninfo, cursors
from receipts.errors import ReceiptsError, Unavailable
from receipts.lake import Lake, lake_of
from receipts.logs import described
from receipts.sql import load_sql
from receipts.tracing import open_tracing, within

if TYPE_CHECKING:
    from receipts.spans import Tracing

_log = logging.getLogger(__name__)
_SQL = load_sql("ingest", "drainer")
_NAMES = re.compile(r"[0-9a-f-]*[0-9][0-9a-f-]*")  # of files and versions, which each attempt has of its own
_STANDBY_S = 0.5  # between two questions whether the leader is gone
_MEASURE_S = 5.0  # between two measurements of the outbox, which cost a scan of what waits
# A leader whose machine vanished loses its lock after 5 + 3 x 2 s: the server asks whether it is still there.
_KEEPALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"

Connection = psycopg.Connection[tuple[Any, ...]]
# Postgres is there, but gave up a statement: a lock did not come in time, somebody cancelled it, or it met another's.
_GIVEN_UP = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
At = Callable[[str], None]  # hears "file written" and "committed" as they happen; a drill kills the process there


class AnotherDrainer(ReceiptsError):
    """Another drainer works on this database; one at a time keeps the order."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What the leader works with."""

    settings: Settings
    connection: Connection
    lake: Lake
    metrics: Metrics
    at: At
    tracing: Tracing | None = None


def drain(settings: Settings) -> int:
    """Move what is in the outbox now into Bronze and return how many rows that were.

    Raises AnotherDrainer when one works already, Unavailable when Postgres cannot be reached or gave up a statement,
    and BronzeUnavailable.
    """
    try:
        with _connected(settings) as connection:
            if not _leads(connection):
                raise AnotherDrainer(AnotherDrainer.__doc__)
            work = _Work(settings, connection, lake_of(settings), Metrics(), lambda _: None)
            moved = _drain_all(work, threading.Event())
            # A closed connection keeps its locks until the server notices: the next to drain would find this one.
            connection.execute(_SQL["lead_no_more"])
            return moved
    except _GIVEN_UP as error:
        raise Unavailable(f"Postgres gave up a statement of the drainer ({described(error)}): try again.") from error
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached: is the platform up?") from error


def drain_continuously(
    settings: Settings, stop: threading.Event, metrics: Metrics | None = None, at: At = lambda _: None
) -> None:
    """Drain until `stop` is set; a failure of Postgres or of the lake is logged once and tried again."""
    metrics = metrics or Metrics()
    tracing = open_tracing(settings, "drainer", settings.telemetry.job_share)
    patience = _Patience("Postgres is away; draining goes on when it is back")
    while not stop.is_set():
        try:
            with _connected(settings) as connection:
                metrics.postgres_up.set(1)
                _wait_to_lead(connection, stop)
                _lead(_Work(settings, connection, lake_of(settings), metrics, at, tracing), stop, patience)
        except psycopg.Error as error:
            metrics.postgres_up.set(0)
            stop.wait(patience.after(error))
        finally:
            metrics.leading.set(0)
    if tracing is not None:
        tracing.close()


class _Patience:
    """How long to wait after a failure: longer each time. Says each reason once in a row of failures, and its end."""

    def __init__(self, trouble: str) -> None:
        self._trouble = trouble
        self._waits: Iterator[float] | None = None
        self._said: set[str] = set()

    def after(self, error: Exception) -> float:
        """Return how many seconds to wait."""
        if self._waits is None:
            self._waits = delays(0.2, 5.0)
        text = described(error)
        reason = _NAMES.sub("", text)  # a full disk may first show as a broken file, and only then as what it is
        if reason not in self._said:
            self._said.add(reason)
            _log.warning("%s: %s", self._trouble, text)
        return next(self._waits)

    def over(self) -> None:
        """Take note that all is well."""
        if self._waits is not None:
            _log.info("Draining goes on.")
        self._waits = None
        self._said.clear()


def _lead(work: _Work, stop: threading.Event, postgres: _Patience) -> None:
    """Drain, measure and wait, until `stop` is set; while the lake is away the outbox keeps everything."""
    work.metrics.leading.set(1)
    lake = _Patience("Bronze is away; the outbox keeps what comes until it is back")
    statement = _Patience("Postgres gave up a statement of the drainer, which tries it again")
    measured_at = -_MEASURE_S
    while not stop.is_set():
        pause = work.settings.ingest.drain_interval_s
        try:
            _drain_all(work, stop)
        except BronzeUnavailable as error:
            work.metrics.lake_up.set(0)
            pause = lake.after(error)
        except _GIVEN_UP as error:
            work.metrics.given_up.inc()
            pause = statement.after(error)
        else:
            work.metrics.lake_up.set(1)
            for trouble in (lake, statement, postgres):
                trouble.over()
        if time.monotonic() - measured_at >= _MEASURE_S:
            with suppress(*_GIVEN_UP):  # measured the next time
                _measure(work)
            measured_at = time.monotonic()
        stop.wait(pause)


def _drain_all(work: _Work, stop: threading.Event) -> int:
    """Settle, and drain window after window until Bronze holds all that is ready now.

    What comes meanwhile waits for the next time, or a steady trickle would be drained a few rows at a time: each
    commit has its price, here and for whoever reads Bronze.
    """
    moved = 0
    (horizon,) = _one(work.connection, "find_horizon")
    while not stop.is_set():
        try:
            rows = _drain_window(work, horizon)
        except Overtaken:
            continue  # a gateway wrote: look again
        if rows is None:
            break
        moved += rows
    _one(work.connection, "rotate_outbox", bytes=work.settings.ingest.outbox_bytes)
    return moved


def _drain_window(work: _Work, horizon: int) -> int | None:
    """Move one window and return its rows, or None when there is none before the horizon. Raises Overtaken."""
    settled = _list_settled(work.connection)
    if _is_idle(work, horizon, settled):
        return None
    # Receipts are looked at first and stores settled first: then no receipt is met before its store.
    heads = {table.name: open_for_append(work.lake, table) for table in TABLES}
    for name, head in reversed(heads.items()):
        if settled.get(name) != head.version:
            settle(work.settings, head, settled.get(name), work.metrics)
    (last,) = _one(work.connection, "find_window", horizon=horizon, limit=work.settings.ingest.drain_records)
    if last is None:
        return None
    with within(work.tracing.start("drainer.window") if work.tracing is not None else None):
        return _move(work, heads, last)


def _move(work: _Work, heads: Mapping[str, Head], last: int) -> int:
    """Commit a window's rows to Bronze and note that, and return how many they were. Raises Overtaken."""
    names = [name for (name,) in work.connection.execute(_SQL["list_tables"], {"last": last}).fetchall()]
    versions: dict[str, int] = {}
    moved = 0
    for name in names:
        versions[name], rows = _append(work, heads[name], last)
        moved += rows
    work.at("committed")
    with work.connection.transaction():  # together, or a drainer killed in between would commit the window twice
        for name, version in versions.items():
            work.connection.execute(SETTLEMENT["record_settled"], {"bronze_table": name, "version": version})
        work.connection.execute(_SQL["record_drained"], {"last": last})
    return moved


def _append(work: _Work, head: Head, last: int) -> tuple[int, int]:
    """Commit a window's rows of one table; return the version and how many rows it added."""
    name = head.table.name
    rows = work.connection.execute(_SQL["list_rows"], {"bronze_table": name, "last": last}).fetchall()
    version = commit_rows(head, rows, [], work.at)
    work.metrics.drained.labels(name).inc(len(rows))
    _log.info("%s has %d more rows.", name, len(rows))
    return version, len(rows)


def _is_idle(work: _Work, horizon: int, settled: Mapping[str, int]) -> bool:
    """Say whether nothing waits and nobody wrote, for the price of one query and three looks for a file."""
    (last,) = _one(work.connection, "find_window", horizon=horizon, limit=1)
    if last is not None:
        return False
    return all(
        table.name in settled and work.lake.read_commit(table.name, settled[table.name] + 1) is None for table in TABLES
    )


def _list_settled(connection: Connection) -> dict[str, int]:
    return dict(connection.execute(SETTLEMENT["list_settled"]).fetchall())


def _measure(work: _Work) -> None:
    rows, oldest_s, size = _one(work.connection, "measure_outbox")
    work.metrics.outbox_rows.set(rows)
    work.metrics.outbox_oldest_seconds.set(oldest_s or 0)
    work.metrics.outbox_bytes.set(size)
    held = dict(work.connection.execute(_SQL["count_held"]).fetchall())
    for kind in refusals.KINDS:
        work.metrics.quarantine_held.labels(kind).set(held.get(kind, 0))


def _connected(settings: Settings) -> Connection:
    options = {"connect_timeout": 5, "options": _KEEPALIVE}  # 5 s: a down server must not hang a command
    login = conninfo(settings, DatabaseRole.INGEST, options)
    return psycopg.connect(login, autocommit=True, cursor_factory=cursors(settings))


def _leads(connection: Connection) -> bool:
    return bool(_one(connection, "try_to_lead")[0])


def _wait_to_lead(connection: Connection, stop: threading.Event) -> None:
    if not _leads(connection):
        _log.info("Another drainer leads; this one stands by.")
        while not stop.wait(_STANDBY_S) and not _leads(connection):
            pass


def _one(connection: Connection, block: str, **params: object) -> tuple[Any, ...]:
    row = connection.execute(_SQL[block], params).fetchone()
    if row is None:
        raise RuntimeError(f"{block} answers one row, always")
    return row
