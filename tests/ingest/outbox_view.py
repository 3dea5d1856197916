"""What tests of the drainer look at: keys in Bronze, rows in the outbox, receipts to send through."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg

from configs.settings import Settings
from receipts.lake import lake_of
from receipts.models import Receipt
from tests.fixtures.retail import make_receipt

DEADLINE_S = 60


def bronze_keys(settings: Settings, table: str = "bronze.receipts") -> list[str]:
    lake = lake_of(settings)
    if not lake.exists(table):
        return []
    return lake.open(table).to_pyarrow_table().column("record_key").to_pylist()


def receipts_from(first: int, count: int, register: int = 3) -> Iterator[Receipt]:
    return (make_receipt(register_id=register, sequence_number=n) for n in range(first, first + count))


def waiting_rows(owner: psycopg.Connection) -> int:
    """Return how many rows Bronze does not hold yet."""
    waiting = "SELECT count(*) FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)"
    return owner.execute(waiting).fetchone()[0]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        threading.Event().wait(0.02)
