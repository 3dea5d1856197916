"""Records on a till's disk, in order, from the moment they are handed over until the gateway has them.

One SQLite file in WAL mode. A put is synced (synchronous=FULL) before it returns; a release is not, since a record that
comes back after a power cut is sent again and changes nothing. The statements stand here and not in a .sql file
because those are Postgres', checked against its schema.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.pos.spool_file import FILE, PUT, begin_anew, connect, own
from receipts.errors import ReceiptsError, Unavailable

_ROW_BYTES = 32  # what SQLite adds to a payload: its number, time, lengths and its place in the page
_REUSED_PAGES = 256  # 1 MiB of free pages is kept for what comes; beyond it the file shrinks, so much at a time
_GIVE_BACK = "PRAGMA incremental_vacuum(256)"
_READ = "SELECT number, payload FROM records WHERE number > ? ORDER BY number LIMIT ?"
_RELEASE = "DELETE FROM records WHERE number <= ? RETURNING length(payload)"
_DEPTH = "SELECT count(*), coalesce(sum(length(payload)), 0) FROM records"
_OLDEST = "SELECT taken_at FROM records ORDER BY number LIMIT 1"
_FIRST = "SELECT min(number) FROM records"
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence"


class SpoolFull(ReceiptsError):
    """The spool takes no more until the gateway has acknowledged some of what waits."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits on the disk, and since when (None: nothing waits)."""

    records: int
    bytes: int
    oldest: datetime | None

    @property
    def oldest_s(self) -> float:
        """Return the age of the oldest record in seconds; 0 when nothing waits."""
        return 0.0 if self.oldest is None else max(0.0, (datetime.now(UTC) - self.oldest).total_seconds())


class Spool:
    """The spool of one till and table, in a folder of its own that only this process and this user may use.

    A damaged file is set aside, what can still be read of it is carried over, and `damage` says so in a sentence.
    Raises SpoolInUse when another process has it. May be used by several threads.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / FILE
        self._max_bytes = max_bytes
        self._using = threading.Lock()
        self._owning = own(folder)
        self.damage: str | None = None
        try:
            self._db = self._open()
            records, size = self._db.execute(_DEPTH).fetchone()
            self._records, self._bytes = records, size + records * _ROW_BYTES
            (self.last,) = self._db.execute(_LAST).fetchone()  # the number of the record put last
            (first,) = self._db.execute(_FIRST).fetchone()
            self.released = self.last if first is None else first - 1  # the number of the record released last
        except BaseException:
            self._owning.close()
            raise

    def put(self, payloads: Sequence[bytes]) -> int:
        """Store records, all or none, and return the number of the last one. They are on the disk then.

        Raises SpoolFull when they do not fit and Unavailable when the disk fails.
        """
        now, size = time.time(), sum(map(len, payloads)) + len(payloads) * _ROW_BYTES
        with self._using:
            if self._bytes + size > self._max_bytes:
                raise SpoolFull(self._full())
            try:
                self._db.execute("PRAGMA synchronous = FULL")
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    self._db.executemany(PUT, ((now, payload) for payload in payloads))
                    (last,) = self._db.execute(_LAST).fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from error
            self._records += len(payloads)
            self._bytes += size
            self.last = last
            return last

    def read(self, after: int, most_records: int, most_bytes: int) -> list[tuple[int, bytes]]:
        """Return numbers and payloads in order from the first one after a number; at least one if there is one."""
        found: list[tuple[int, bytes]] = []
        with self._using:
            try:
                with closing(self._db.execute(_READ, (after, most_records))) as rows:
                    for number, payload in rows:
                        most_bytes -= len(payload)
                        if found and most_bytes < 0:
                            break
                        found.append((number, payload))
            except sqlite3.Error as error:
                raise self._failed(error) from error
        return found

    def release(self, last: int) -> None:
        """Forget the records up to a number and give their space back."""
        with self._using:
            try:
                self._db.execute("PRAGMA synchronous = NORMAL")
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    lengths = self._db.execute(_RELEASE, (last,)).fetchall()
                self.released = max(self.released, last)
                self._records -= len(lengths)
                self._bytes -= sum(length + _ROW_BYTES for (length,) in lengths)
                if self._db.execute("PRAGMA freelist_count").fetchone()[0] > _REUSED_PAGES:
                    self._db.execute(_GIVE_BACK).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def depth(self) -> Depth:
        """Return how much waits."""
        with self._using:
            found = self._db.execute(_OLDEST).fetchone()
            oldest = None if found is None else datetime.fromtimestamp(found[0], UTC)
            return Depth(self._records, self._bytes, oldest)

    def close(self) -> None:
        """Let another process have the spool."""
        with self._using:
            self._db.close()
            self._owning.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self._path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # the disk, not the file: nothing to set aside
                raise self._failed(error) from error
            fresh, self.damage = begin_anew(self._path, error)
            return fresh

    def _full(self) -> str:
        records, size = self._records, self._bytes
        found = self._db.execute(_OLDEST).fetchone()
        since = f", the oldest since {datetime.fromtimestamp(found[0], UTC):%Y-%m-%d %H:%M:%S} UTC" if found else ""
        return (
            f"The spool {self._path} is full: {records} records wait ({size} of {self._max_bytes} bytes){since}. "
            "Nothing more is taken until the gateway acknowledges some."
        )

    def _failed(self, error: sqlite3.Error) -> ReceiptsError:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            return SpoolFull(f"The disk of the spool {self._path} is full; {self._records} records wait in it.")
        return Unavailable(f"The spool {self._path} cannot be used: {error}.")


def read_depth(folder: Path) -> Depth:
    """Return how much waits in a spool that another process may have; an absent spool is an empty one."""
    path = folder / FILE
    if not path.exists():
        return Depth(0, 0, None)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            records, size = db.execute(_DEPTH).fetchone()
            found = db.execute(_OLDEST).fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"The spool {path} cannot be read: {error}.") from error
    oldest = None if found is None else datetime.fromtimestamp(found[0], UTC)
    return Depth(records, size + records * _ROW_BYTES, oldest)
