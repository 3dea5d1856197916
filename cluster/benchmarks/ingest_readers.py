"""Whether an acknowledged receipt is readable: looked up at once, by the role and the scope that the API has."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import psycopg

from configs.settings import Settings
from receipts.database import DatabaseRole, connect, conninfo
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "ingest_readers")
_REP = "rep.all"  # a customer service rep of all regions, planted with the development provider


def reader_of(settings: Settings) -> tuple[str, str]:
    """Return the connection string of the API's role and the handle of a rep's scope."""
    with connect(settings, DatabaseRole.AUTH) as connection:
        row = connection.execute(_SQL["open_scope"], (_REP,)).fetchone()
    if row is None:
        raise RuntimeError(f"the embedded platform plants {_REP}")
    return conninfo(settings, DatabaseRole.API), str(row[0])


class Readers:
    """Looks receipts up one after another in a thread of its own; each is asked for once."""

    def __init__(self, reader: str, scope_id: str) -> None:
        self._reader, self._scope_id = reader, scope_id
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._looked_up = self._found = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, receipt_id: str) -> None:
        """Look a receipt up now."""
        self._asked.put(receipt_id)

    def finish(self) -> tuple[int, int]:
        """Return how many receipts were looked up and how many of them were there at the first look."""
        self._asked.put(None)
        self._thread.join()
        return self._looked_up, self._found

    def _run(self) -> None:
        with psycopg.connect(self._reader) as connection:
            while (receipt_id := self._asked.get()) is not None:
                with connection.transaction():
                    connection.execute(_SQL["set_scope"], (self._scope_id,))
                    found = connection.execute(_SQL["find_receipt"], (receipt_id,)).fetchone()
                self._looked_up += 1
                self._found += found is not None
