"""What reached Bronze past the outbox is known to Postgres soon, and stands in Bronze once, whoever came first."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from deltalake import Transaction

from configs.settings import Settings
from ingest import drainer, refusals
from ingest.bronze_writing import DIRECT, commit_rows, open_for_append
from ingest.drainer import drain
from ingest.recording import SQL, _columns
from ingest.records import Incoming, StorePlace
from ingest.validation import Origin, Parsed, parse, place, refuse
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from receipts.lake import LakeTable, lake_of
from receipts.models import Record
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

_AT = datetime(2026, 11, 17, 12, 30, 1, 250, tzinfo=UTC)
_DEADLINE_S = 60


def _direct(settings: Settings, table: LakeTable, records: list[Record | Incoming], first_sequence: int = 1) -> None:
    """Commit records as a gateway does while Postgres is away."""
    rows = []
    for sequence, record in enumerate(records, first_sequence):
        made = record.bronze if isinstance(record, Incoming) else _accepted(table, record).bronze
        digest = made.payload_digest.hex()
        key = (made.record_key, made.store_id, sequence, made.received_at, "direct")
        rows.append((*key, digest, made.payload, made.refusal))
    head = open_for_append(lake_of(settings), table)
    commit_rows(head, rows, [Transaction(DIRECT, head.transaction(DIRECT) + 1)])


def _accepted(table: LakeTable, model: Record, stores: dict | None = None) -> Incoming:
    origin = Origin(table.name, "direct", _AT)
    parsed = parse(model.canonical().encode(), origin, max_bytes=1_000_000)
    assert isinstance(parsed, Parsed)
    return place(parsed, {367: _PLACE} if stores is None else stores, origin)


_PLACE = StorePlace(1, "America/New_York")


def _keys(settings: Settings, table: str = "bronze.receipts") -> list[str]:
    return sorted(lake_of(settings).open(table).to_pyarrow_table().column("record_key").to_pylist())


def _one(owner: psycopg.Connection, query: str):
    (value,) = owner.execute(query).fetchone()
    return value


def _waiting(owner: psycopg.Connection) -> int:
    return _one(owner, "SELECT count(*) FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)")


def _settled_is_head(settings: Settings, owner: psycopg.Connection) -> bool:
    noted = dict(owner.execute("SELECT bronze_table, version FROM ingest.settled").fetchall())
    return noted == {table.name: lake_of(settings).open(table.name).version() for table in bronze.TABLES}


def _wait_for(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(int(_DEADLINE_S / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail("what was waited for did not happen")


def test_records_that_only_bronze_has_become_readable(settings: Settings, owner: psycopg.Connection) -> None:
    """Stores, customers and receipts of a gateway that started without Postgres, committed in any order of tables."""
    receipt = make_receipt()
    _direct(settings, bronze.RECEIPTS, [receipt])
    _direct(settings, bronze.CUSTOMERS, [make_customer()])
    _direct(settings, bronze.STORES, [make_store()])
    assert drain(settings) == 0
    found = owner.execute("SELECT document, received_at, first_digest = payload_digest FROM retail.receipts").fetchall()
    assert found == [(receipt.canonical(), _AT, True)]
    assert _one(owner, "SELECT count(*) FROM retail.customers JOIN retail.customer_contacts USING (customer_id)") == 1
    assert _waiting(owner) == 0
    assert _settled_is_head(settings, owner)
    store_rows(settings, stores=[make_store()], receipts=[receipt])  # the till sends it again
    assert drain(settings) == 0
    assert _keys(settings) == [receipt.receipt_id]


def test_a_receipt_on_both_ways_stands_in_bronze_once(settings: Settings, owner: psycopg.Connection) -> None:
    both, other = make_receipt(sequence_number=1), make_receipt(sequence_number=2)
    store_rows(settings, stores=[make_store()], receipts=[both, other])  # its commit's outcome stayed unknown ...
    _direct(settings, bronze.RECEIPTS, [both])  # ... so the gateway wrote it to Bronze
    assert drain(settings) == 2
    assert _keys(settings) == sorted([both.receipt_id, other.receipt_id])
    assert _waiting(owner) == 0
    assert _settled_is_head(settings, owner)


def test_a_direct_commit_between_look_and_commit_is_settled_first(
    settings: Settings, owner: psycopg.Connection
) -> None:
    both, other = make_receipt(sequence_number=1), make_receipt(sequence_number=2)
    store_rows(settings, stores=[make_store()])
    drain(settings)
    store_rows(settings, receipts=[both, other])
    stop, points = threading.Event(), []

    def at(point: str) -> None:
        if not points:
            _direct(settings, bronze.RECEIPTS, [both])
        points.append(point)
        if point == "committed":
            stop.set()

    drainer.drain_continuously(settings, stop, at=at)
    assert points == ["file written", "file written", "committed"]
    assert _keys(settings) == sorted([both.receipt_id, other.receipt_id])
    assert _waiting(owner) == 0


@pytest.mark.parametrize("commits", [True, False])
def test_a_transaction_open_meanwhile_ends_with_one_row_however_it_ends(
    settings: Settings, owner: psycopg.Connection, *, commits: bool
) -> None:
    """A gateway's backend that hangs with the receipt while the gateway has written it to Bronze."""
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()])
    drain(settings)
    row = _accepted(bronze.RECEIPTS, receipt)
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as gateway:
        _insert(gateway, row)
        _direct(settings, bronze.RECEIPTS, [receipt])
        draining = threading.Thread(target=drain, args=(settings,))
        draining.start()
        _wait_for(lambda: _one(owner, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1)
        gateway.commit() if commits else gateway.rollback()
        draining.join()
    drain(settings)
    assert _keys(settings) == [receipt.receipt_id]
    assert _one(owner, "SELECT count(*) FROM retail.receipts") == 1
    assert _waiting(owner) == 0


def _insert(connection: psycopg.Connection, record: Incoming) -> None:
    """Write a receipt and its outbox row as record_group does, on a connection that stays in its transaction."""
    queued = {"source": [record.bronze.source], "sequence": [5], "queue": True}
    connection.execute(SQL["record_receipts"], _columns([record.row]) | queued | {"all_new": False})


def test_a_correction_that_only_bronze_has_is_noted_and_not_stored_twice(
    settings: Settings, owner: psycopg.Connection
) -> None:
    first, second = make_receipt(), make_receipt(tax_cents=7)
    assert first.receipt_id == second.receipt_id
    store_rows(settings, stores=[make_store()], receipts=[first])
    drain(settings)
    _direct(settings, bronze.RECEIPTS, [second])
    drain(settings)
    assert _one(owner, "SELECT count(*) FROM ingest.corrections") == 1
    assert _one(owner, "SELECT document FROM retail.receipts") == first.canonical()
    store_rows(settings, receipts=[second])
    assert drain(settings) == 0
    assert _keys(settings) == [first.receipt_id] * 2


def test_an_older_state_of_a_customer_does_not_replace_a_newer_one(
    settings: Settings, owner: psycopg.Connection
) -> None:
    store_rows(settings, stores=[make_store()])
    drain(settings)
    _direct(settings, bronze.CUSTOMERS, [make_customer(first_name="Maria"), make_customer(first_name="Mary")])
    store_rows(settings, customers=[make_customer(first_name="Marie")])  # Postgres is back before anything is settled
    assert drain(settings) == 1
    assert _one(owner, "SELECT first_name FROM retail.customers") == "Marie"
    assert len(_keys(settings, "bronze.customers")) == 3


def test_refused_records_come_to_quarantine_with_their_kind(settings: Settings, owner: psycopg.Connection) -> None:
    origin = Origin(bronze.RECEIPTS.name, "direct", _AT)
    unknown = _accepted(bronze.RECEIPTS, make_receipt(store_id=12), {})
    broken = refuse(b"{", "The record is not valid JSON.", origin)
    _direct(settings, bronze.RECEIPTS, [unknown, broken])
    drain(settings)
    held = owner.execute("SELECT kind, missing_store_id, reason FROM ingest.quarantine ORDER BY quarantine_id")
    assert sorted(held.fetchall(), key=str) == sorted(
        [
            (refusals.UNKNOWN_STORE, 12, unknown.bronze.refusal),
            (refusals.MALFORMED, None, broken.bronze.refusal),
        ],
        key=str,
    )
    assert _one(owner, "SELECT count(*) FROM retail.receipts") == 0


def test_a_position_that_was_lost_or_is_old_only_costs_time(settings: Settings, owner: psycopg.Connection) -> None:
    receipts = _receipts(1, 5)
    store_rows(settings, stores=[make_store()], receipts=receipts)
    drain(settings)
    _direct(settings, bronze.RECEIPTS, list(_receipts(6, 2)))
    drain(settings)
    for damage in ("UPDATE ingest.settled SET version = 0", "DELETE FROM ingest.settled"):
        owner.execute(damage)
        store_rows(settings, receipts=_receipts(8, 1))
        drain(settings)
        assert _keys(settings) == [receipt.receipt_id for receipt in _receipts(1, 8)]
        assert _settled_is_head(settings, owner)


def test_a_database_restored_from_an_old_backup_learns_what_it_lost(
    settings: Settings, owner: psycopg.Connection
) -> None:
    """With the outbox and the position as they were: neither lost nor doubled."""
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=_receipts(1, 3))
    drain(settings)
    store_rows(settings, receipts=_receipts(4, 3))
    drain(settings)
    owner.execute("DELETE FROM retail.receipts WHERE (document::jsonb ->> 'sequence_number')::int > 3")
    owner.execute("DELETE FROM ingest.settled")
    owner.execute("UPDATE ingest.outbox_state SET drained = '0'")
    drain(settings)
    assert _one(owner, "SELECT count(*) FROM retail.receipts") == 6
    assert _keys(settings) == [receipt.receipt_id for receipt in _receipts(1, 6)]
    assert _waiting(owner) == 0


def test_a_lake_made_anew_is_noticed(settings: Settings, owner: psycopg.Connection) -> None:
    for first in (1, 3, 5):
        store_rows(settings, stores=[make_store()], receipts=_receipts(first, 2))
        drain(settings)
    Path(settings.lake_root).rename(settings.state_dir / "lost")
    _direct(settings, bronze.RECEIPTS, list(_receipts(7, 1)))
    store_rows(settings, receipts=_receipts(8, 1))
    assert drain(settings) == 1
    assert _keys(settings) == [receipt.receipt_id for receipt in _receipts(7, 2)]
    assert _one(owner, "SELECT count(*) FROM retail.receipts") == 8
    assert _settled_is_head(settings, owner)


def test_settling_goes_on_beside_compaction(settings: Settings, owner: psycopg.Connection) -> None:
    store_rows(settings, stores=[make_store()])
    drain(settings)
    for number in (1, 2):
        _direct(settings, bronze.RECEIPTS, list(_receipts(number, 1)))
    lake_of(settings).open(bronze.RECEIPTS.name).optimize.compact()
    drain(settings)
    assert _one(owner, "SELECT count(*) FROM retail.receipts") == 2
    lake_of(settings).open(bronze.RECEIPTS.name).optimize.compact()
    drain(settings)
    assert _settled_is_head(settings, owner)


def test_an_unnoticed_second_of_waiting_rows_is_ordered_by_sequence(settings: Settings) -> None:
    """Order of a store is the order of `sequence`, over both ways."""
    store_rows(settings, stores=[make_store()])
    _direct(settings, bronze.RECEIPTS, list(_receipts(1, 2)), first_sequence=1)
    store_rows(settings, receipts=_receipts(3, 2))
    drain(settings)
    rows = lake_of(settings).open(bronze.RECEIPTS.name).to_pyarrow_table().sort_by("sequence")
    assert rows.column("record_key").to_pylist() == [receipt.receipt_id for receipt in _receipts(1, 4)]


def _receipts(first: int, count: int) -> Iterator:
    moment = datetime(2026, 11, 17, 23, 5, tzinfo=UTC)
    return (
        make_receipt(sequence_number=n, purchased_at=moment + timedelta(seconds=n)) for n in range(first, first + count)
    )
