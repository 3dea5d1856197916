"""The outbox reaches Bronze whole and in order, beside writers, and gives its space back."""

import threading
from itertools import count
from pathlib import Path

import psycopg

from configs.settings import Settings
from ingest.drainer import drain, drain_continuously
from ingest.metrics import Metrics
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from receipts.lake import lake_of
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.ingest.outbox_view import bronze_keys, receipts_from, wait_for, waiting_rows


def test_what_was_received_stands_in_bronze_and_the_outbox_is_free(
    settings: Settings, owner: psycopg.Connection
) -> None:
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[receipt])
    assert drain(settings) == 3
    assert waiting_rows(owner) == 0
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
    assert bronze_keys(settings, "bronze.customers") == ["C0000001"]
    assert bronze_keys(settings, "bronze.stores") == ["367"]


def test_windows_are_made_of_whole_transactions_in_order(settings: Settings) -> None:
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"drain_records": 10})})
    store_rows(settings, stores=[make_store()])
    for first in (1, 21, 41):
        store_rows(settings, receipts=receipts_from(first, 20))  # each transaction alone is larger than a window
    assert drain(small) == 61
    table = lake_of(settings).open(bronze.RECEIPTS.name)
    sequences = table.to_pyarrow_table().sort_by("sequence").column("record_key").to_pylist()
    assert sequences == [receipt.receipt_id for receipt in receipts_from(1, 60)]
    assert table.version() == 3  # created, then one commit for each transaction


def test_a_row_of_an_older_transaction_that_commits_late_is_not_missed(
    settings: Settings, owner: psycopg.Connection
) -> None:
    store_rows(settings, stores=[make_store()])
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as slow:
        slow.execute("SELECT pg_current_xact_id()")  # takes its number now, writes and commits after the others
        store_rows(settings, receipts=receipts_from(1, 5))
        drain(settings)
        assert bronze_keys(settings) == []  # they are newer than a running transaction
        slow.execute(
            "INSERT INTO ingest.outbox "
            "(turn, sequence, bronze_table, record_key, received_at, source, payload_digest, payload) "
            "VALUES (0, 1, 'bronze.receipts', 'late', now(), 'test', '\\x00', '{}')"
        )
    drain(settings)
    assert sorted(bronze_keys(settings)) == sorted(["late", *(receipt.receipt_id for receipt in receipts_from(1, 5))])
    assert waiting_rows(owner) == 0


def test_rows_that_bronze_has_already_are_freed_and_not_written_again(
    settings: Settings, owner: psycopg.Connection
) -> None:
    store_rows(settings, stores=[make_store()], receipts=receipts_from(1, 5))
    drain(settings)
    owner.execute("UPDATE ingest.outbox_state SET drained = '0'")  # what a kill before noting it leaves behind
    owner.execute("UPDATE ingest.settled SET version = 0")  # noted together
    store_rows(settings, receipts=receipts_from(6, 5))
    assert drain(settings) == 5
    assert sorted(bronze_keys(settings)) == [receipt.receipt_id for receipt in receipts_from(1, 10)]
    assert bronze_keys(settings, "bronze.stores") == ["367"]
    assert waiting_rows(owner) == 0


def test_what_comes_while_it_drains_waits_for_the_next_time(settings: Settings, owner: psycopg.Connection) -> None:
    slow = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"drain_interval_s": 3_600.0})})
    store_rows(settings, stores=[make_store()], receipts=receipts_from(1, 3))
    numbers = count(4)

    def trickle(step: str) -> None:
        if step == "committed":
            store_rows(settings, receipts=receipts_from(next(numbers), 1))

    metrics, stop = Metrics(), threading.Event()
    draining = threading.Thread(target=drain_continuously, args=(slow, stop, metrics, trickle))
    draining.start()
    try:
        wait_for(lambda: waiting_rows(owner) == 1 and _value(metrics, "outbox_rows") == 1)
        assert len(bronze_keys(settings)) == 3
    finally:
        stop.set()
        draining.join()


def test_while_bronze_is_away_the_outbox_keeps_everything(settings: Settings, owner: psycopg.Connection) -> None:
    quick = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"drain_interval_s": 0.02})})
    store_rows(settings, stores=[make_store()], receipts=receipts_from(1, 3))
    root = Path(settings.lake_root)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("in the way")  # works for root too, whom no permission stops
    metrics, stop = Metrics(), threading.Event()
    draining = threading.Thread(target=drain_continuously, args=(quick, stop, metrics))
    draining.start()
    try:
        wait_for(lambda: _value(metrics, "outbox_rows") == 4)
        assert _value(metrics, "lake_up") == 0
        assert _value(metrics, "drainer_leading") == 1
        assert _value(metrics, "outbox_oldest_seconds") > 0
        store_rows(settings, receipts=receipts_from(4, 3))  # tills go on
        root.unlink()
        wait_for(lambda: len(bronze_keys(settings)) == 6 and waiting_rows(owner) == 0)
        wait_for(lambda: _value(metrics, "lake_up") == 1)
    finally:
        stop.set()
        draining.join()
    assert _value(metrics, "drainer_leading") == 0
    assert _value(metrics, "drained_total", table="bronze.receipts") == 6


def test_the_space_of_drained_rows_is_given_back_but_never_a_late_row(
    settings: Settings, owner: psycopg.Connection
) -> None:
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"outbox_bytes": 8_192})})
    store_rows(settings, stores=[make_store()], receipts=receipts_from(1, 100))
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as slow:
        _queue(slow, 0, "late")  # in the partition whose turn ends, and committed after the turn
        drain(small)
        assert owner.execute("SELECT turn FROM ingest.outbox_state").fetchone() == (1,)
        drain(small)
        assert _size(owner, 0) > 0  # a running transaction may have written there
    assert drain(small) > 0
    assert "late" in bronze_keys(settings)
    drain(small)
    assert _size(owner, 0) == 0
    store_rows(settings, receipts=receipts_from(101, 100))
    assert drain(small) == 100
    drain(small)
    assert _size(owner, 1) == 0
    assert len(bronze_keys(settings)) == 201


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
            store_rows(settings, receipts=receipts_from(first, 10, register))

    writers = [threading.Thread(target=write, args=(register,)) for register in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_for(lambda: waiting_rows(owner) == 0)
    stop.set()
    draining.join()
    expected = [receipt.receipt_id for register in (1, 2, 3) for receipt in receipts_from(1, 100, register)]
    assert sorted(bronze_keys(settings)) == sorted(expected)


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
