"""The outbox reaches Bronze exactly once, whoever is killed when."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from configs.settings import Settings
from ingest import drainer
from ingest.drainer import AnotherDrainer, drain, drain_continuously
from ingest.metrics import Metrics
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from receipts.lake import lake_of
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

_DEADLINE_S = 60


def _keys(settings: Settings, table: str = "bronze.receipts") -> list[str]:
    lake = lake_of(settings)
    if not lake.exists(table):
        return []
    return lake.open(table).to_pyarrow_table().column("record_key").to_pylist()


def _receipts(first: int, count: int, register: int = 3) -> Iterator:
    return (make_receipt(register_id=register, sequence_number=n) for n in range(first, first + count))


def _outbox(owner: psycopg.Connection) -> int:
    """Return how many rows Bronze does not hold yet."""
    waiting = "SELECT count(*) FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)"
    return owner.execute(waiting).fetchone()[0]


def test_what_was_received_stands_in_bronze_and_the_outbox_is_free(
    settings: Settings, owner: psycopg.Connection
) -> None:
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[receipt])
    assert drain(settings) == 3
    assert _outbox(owner) == 0
    assert drain(settings) == 0
    rows = lake_of(settings).open(bronze.RECEIPTS.name).to_pyarrow_table().to_pylist()
    assert len(rows) == 1
    row = rows[0]
    assert row["payload"] == receipt.canonical()
    assert (row["record_key"], row["store_id"], row["source"], row["refusal"]) == (
        receipt.receipt_id,
        367,
        "test",
        None,
    )
    assert len(row["payload_digest"]) == 64
    assert _keys(settings, "bronze.customers") == ["C0000001"]
    assert _keys(settings, "bronze.stores") == ["367"]


def test_windows_are_made_of_whole_transactions_in_order(settings: Settings) -> None:
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"drain_records": 10})})
    store_rows(settings, stores=[make_store()])
    for first in (1, 21, 41):
        store_rows(settings, receipts=_receipts(first, 20))  # each transaction alone is larger than a window
    assert drain(small) == 61
    table = lake_of(settings).open(bronze.RECEIPTS.name)
    sequences = table.to_pyarrow_table().sort_by("sequence").column("record_key").to_pylist()
    assert sequences == [receipt.receipt_id for receipt in _receipts(1, 60)]
    assert table.version() == 3  # created, then one commit for each transaction


def test_a_row_of_an_older_transaction_that_commits_late_is_not_missed(
    settings: Settings, owner: psycopg.Connection
) -> None:
    store_rows(settings, stores=[make_store()])
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as slow:
        slow.execute("SELECT pg_current_xact_id()")  # takes its number now, writes and commits after the others
        store_rows(settings, receipts=_receipts(1, 5))
        drain(settings)
        assert _keys(settings) == []  # they are newer than a running transaction
        slow.execute(
            "INSERT INTO ingest.outbox "
            "(turn, sequence, bronze_table, record_key, received_at, source, payload_digest, payload) "
            "VALUES (0, 1, 'bronze.receipts', 'late', now(), 'test', '\\x00', '{}')"
        )
    drain(settings)
    assert sorted(_keys(settings)) == sorted(["late", *(receipt.receipt_id for receipt in _receipts(1, 5))])
    assert _outbox(owner) == 0


def test_rows_that_bronze_has_already_are_freed_and_not_written_again(
    settings: Settings, owner: psycopg.Connection
) -> None:
    store_rows(settings, stores=[make_store()], receipts=_receipts(1, 5))
    drain(settings)
    owner.execute("UPDATE ingest.outbox_state SET drained = '0'")  # what a kill before noting it leaves behind
    owner.execute("UPDATE ingest.settled SET version = 0")  # noted together
    store_rows(settings, receipts=_receipts(6, 5))
    assert drain(settings) == 5
    assert sorted(_keys(settings)) == [receipt.receipt_id for receipt in _receipts(1, 10)]
    assert _keys(settings, "bronze.stores") == ["367"]
    assert _outbox(owner) == 0


def test_one_drainer_works_at_a_time(settings: Settings) -> None:
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST), autocommit=True) as other:
        other.execute(drainer._SQL["try_to_lead"])
        with pytest.raises(AnotherDrainer):
            drain(settings)
    assert drain(settings) == 0


def test_a_drainer_killed_at_any_moment_loses_and_doubles_nothing(
    settings: Settings, owner: psycopg.Connection, tmp_path
) -> None:
    small = {"drain_records": 40, "drain_interval_s": 0.01}
    store_rows(settings, stores=[make_store()])
    chance = random.Random(20261123)
    environment = _environment(settings, small)
    written = 0
    for _ in range(6):
        for _ in range(4):
            store_rows(settings, receipts=_receipts(written + 1, 25))
            written += 25
        before = len(_keys(settings))
        process = subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment, stderr=subprocess.PIPE)
        try:
            _wait_for(lambda before=before: len(_keys(settings)) > before)
            threading.Event().wait(chance.uniform(0, 0.15))  # the moment of death is what is drawn here
        finally:
            process.kill()
            process.communicate()
    _wait_for(lambda: _drained(settings) and _outbox(owner) == 0)
    assert sorted(_keys(settings)) == [receipt.receipt_id for receipt in _receipts(1, written)]


@pytest.mark.parametrize("point", ["file written", "committed"])
def test_a_drainer_killed_at_a_known_point_loses_and_doubles_nothing(
    settings: Settings, owner: psycopg.Connection, point: str
) -> None:
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=_receipts(1, 5))
    environment = {**_environment(settings, {}), "DIE_AT": point}
    process = subprocess.run([sys.executable, "-c", _DYING], env=environment, timeout=_DEADLINE_S, check=False)
    assert process.returncode == -signal.SIGKILL
    store_rows(settings, receipts=_receipts(6, 5))
    _wait_for(lambda: _drained(settings) and _outbox(owner) == 0)
    assert sorted(_keys(settings)) == [receipt.receipt_id for receipt in _receipts(1, 10)]
    assert _keys(settings, "bronze.stores") == ["367"]
    assert _keys(settings, "bronze.customers") == ["C0000001"]


def test_a_standby_takes_over_when_the_leader_is_killed(settings: Settings, owner: psycopg.Connection) -> None:
    environment = _environment(settings, {"drain_interval_s": 0.05})
    leading = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted AND "
    leading += "datname = current_database()"
    drainers: list[subprocess.Popen[bytes]] = []
    try:
        drainers.append(subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment))
        _wait_for(lambda: owner.execute(leading).fetchall())
        leader = owner.execute(leading).fetchone()
        drainers.append(subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment))
        connected = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'receipts_ingest' AND datname = "
        _wait_for(lambda: owner.execute(connected + "current_database()").fetchone()[0] == 2)
        assert owner.execute(leading).fetchone() == leader
        drainers[0].kill()
        store_rows(settings, stores=[make_store()], receipts=_receipts(1, 3))
        _wait_for(lambda: len(_keys(settings)) == 3)
        assert owner.execute(leading).fetchone() != leader
    finally:
        for drainer_process in drainers:
            drainer_process.kill()
            drainer_process.wait()


def test_while_bronze_is_away_the_outbox_keeps_everything(settings: Settings, owner: psycopg.Connection) -> None:
    quick = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"drain_interval_s": 0.02})})
    store_rows(settings, stores=[make_store()], receipts=_receipts(1, 3))
    root = Path(settings.lake_root)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("in the way")  # works for root too, whom no permission stops
    metrics, stop = Metrics(), threading.Event()
    draining = threading.Thread(target=drain_continuously, args=(quick, stop, metrics))
    draining.start()
    try:
        _wait_for(lambda: _value(metrics, "outbox_rows") == 4)
        assert _value(metrics, "lake_up") == 0
        assert _value(metrics, "drainer_leading") == 1
        assert _value(metrics, "outbox_oldest_seconds") > 0
        store_rows(settings, receipts=_receipts(4, 3))  # tills go on
        root.unlink()
        _wait_for(lambda: len(_keys(settings)) == 6 and _outbox(owner) == 0)
        _wait_for(lambda: _value(metrics, "lake_up") == 1)
    finally:
        stop.set()
        draining.join()
    assert _value(metrics, "drainer_leading") == 0
    assert _value(metrics, "drained_total", table="bronze.receipts") == 6


def test_the_space_of_drained_rows_is_given_back_but_never_a_late_row(
    settings: Settings, owner: psycopg.Connection
) -> None:
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"outbox_bytes": 8_192})})
    store_rows(settings, stores=[make_store()], receipts=_receipts(1, 100))
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as slow:
        _queue(slow, 0, "late")  # in the partition whose turn ends, and committed after the turn
        drain(small)
        assert owner.execute("SELECT turn FROM ingest.outbox_state").fetchone() == (1,)
        drain(small)
        assert _size(owner, 0) > 0  # a running transaction may have written there
    assert drain(small) > 0
    assert "late" in _keys(settings)
    drain(small)
    assert _size(owner, 0) == 0
    store_rows(settings, receipts=_receipts(101, 100))
    assert drain(small) == 100
    drain(small)
    assert _size(owner, 1) == 0
    assert len(_keys(settings)) == 201


def test_draining_beside_writers_ends_with_every_row_once(settings: Settings, owner: psycopg.Connection) -> None:
    quick = settings.model_copy(
        update={"ingest": settings.ingest.model_copy(update={"drain_interval_s": 0.02, "drain_records": 30})}
    )
    store_rows(settings, stores=[make_store()])
    stop = threading.Event()
    draining = threading.Thread(target=drain_continuously, args=(quick, stop))
    draining.start()

    def write(register: int) -> None:
        for first in range(1, 101, 10):
            store_rows(settings, receipts=_receipts(first, 10, register))

    writers = [threading.Thread(target=write, args=(register,)) for register in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    _wait_for(lambda: _outbox(owner) == 0)
    stop.set()
    draining.join()
    expected = [receipt.receipt_id for register in (1, 2, 3) for receipt in _receipts(1, 100, register)]
    assert sorted(_keys(settings)) == sorted(expected)


_KILLABLE = """
import threading
from configs.settings import load_settings
from ingest.drainer import drain_continuously
drain_continuously(load_settings(), threading.Event())
"""


# It dies of the point's second coming, when the window has one table in Bronze and others not.
_DYING = """
import os, signal, threading
from configs.settings import load_settings
from ingest.drainer import drain_continuously
seen = []
def die(point):
    seen.append(point)
    if point == os.environ["DIE_AT"] and (point == "committed" or seen.count(point) == 2):
        os.kill(os.getpid(), signal.SIGKILL)
drain_continuously(load_settings(), threading.Event(), at=die)
"""


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"receipts_ingest_{name}", labels)


def _queue(connection: psycopg.Connection, turn: int, key: str) -> None:
    connection.execute(
        "INSERT INTO ingest.outbox "
        "(turn, sequence, bronze_table, record_key, received_at, source, payload_digest, payload) "
        "VALUES (%s, 1, 'bronze.receipts', %s, now(), 'test', '\\x00', '{}')",
        (turn, key),
    )


def _size(owner: psycopg.Connection, turn: int) -> int:
    return owner.execute("SELECT pg_relation_size(%s::regclass)", (f"ingest.outbox_{turn}",)).fetchone()[0]


def _environment(settings: Settings, ingest: dict[str, object]) -> dict[str, str]:
    mine = {
        "RECEIPTS_STATE_DIR": str(settings.state_dir),
        "RECEIPTS_DATABASE__DSN": settings.database.dsn.get_secret_value(),
        "RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_INGEST": (
            settings.database.role_passwords["receipts_ingest"].get_secret_value()
        ),
        **{f"RECEIPTS_INGEST__{key.upper()}": str(value) for key, value in ingest.items()},
    }
    return {**os.environ, **mine}


def _drained(settings: Settings) -> bool:
    """Drain, unless the server has not noticed yet that the killed drainer is gone."""
    try:
        drain(settings)
    except AnotherDrainer:
        return False
    return True


def _wait_for(condition) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        threading.Event().wait(0.02)
