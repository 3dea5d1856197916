"""A drainer that Postgres lets down for a moment says so, does not call Postgres away, and goes on by itself."""

import logging
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from configs.settings import Settings
from ingest.drainer import drain, drain_continuously
from ingest.metrics import Metrics
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from receipts.errors import Unavailable
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.ingest.test_settlement import _accepted, _direct, _insert, _one, _wait_for

_RECEIPT = make_receipt()
_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def hanging(settings: Settings) -> Iterator[psycopg.Connection]:
    """A gateway's transaction that hangs with a receipt which Bronze holds."""
    store_rows(settings, stores=[make_store()])
    drain(settings)
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as gateway:
        _insert(gateway, _accepted(bronze.RECEIPTS, _RECEIPT))
        _direct(settings, bronze.RECEIPTS, [_RECEIPT])
        yield gateway


def _lock_does_not_come(_owner: psycopg.Connection) -> None:
    """Leave it to the drainer's own lock timeout."""


def _somebody_cancels(owner: psycopg.Connection) -> None:
    _wait_for(lambda: owner.execute(_WAITING).fetchone())
    owner.execute("SELECT pg_cancel_backend(%s)", owner.execute(_WAITING).fetchone())


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (_lock_does_not_come, "LockNotAvailable (55P03): canceling statement due to lock timeout"),
        (_somebody_cancels, "QueryCanceled (57014): canceling statement due to user request"),
    ],
)
def test_a_statement_that_postgres_gave_up_is_called_so_and_tried_again(
    settings: Settings,
    owner: psycopg.Connection,
    hanging: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
    happens: Callable[[psycopg.Connection], None],
    reason: str,
) -> None:
    caplog.set_level(logging.INFO, "ingest.drainer")
    metrics, stop = Metrics(), threading.Event()
    draining = threading.Thread(target=drain_continuously, args=(settings, stop, metrics))
    draining.start()
    try:
        happens(owner)
        _wait_for(lambda: _value(metrics, "drainer_given_up_total"))
        assert (_value(metrics, "postgres_up"), _value(metrics, "drainer_leading")) == (1, 1)
        hanging.rollback()
        _wait_for(lambda: _one(owner, "SELECT count(*) FROM retail.receipts") == 1)
        _wait_for(lambda: "Draining goes on." in caplog.messages)
    finally:
        hanging.rollback()
        stop.set()
        draining.join()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [f"Postgres gave up a statement of the drainer, which tries it again: {reason}"]


def test_draining_once_says_that_a_lock_did_not_come(settings: Settings, hanging: psycopg.Connection) -> None:
    with pytest.raises(
        Unavailable,
        match=r"drainer \(LockNotAvailable \(55P03\): canceling .* timeout\): try ag",
    ):
        drain(settings)
    hanging.rollback()
    assert drain(settings) == 0


def _value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"receipts_ingest_{name}")
