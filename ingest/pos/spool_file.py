"""The file of a spool: whose it is, what it looks like, and what happens to a damaged one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from receipts.errors import ReceiptsError

FILE = "spool.db"
PUT = "INSERT INTO records (taken_at, payload) VALUES (?, ?)"
_READ_AGED = "SELECT number, taken_at, payload FROM records WHERE number > ? ORDER BY number LIMIT 1"
_SCHEMA = """
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA journal_size_limit = 4194304;
    CREATE TABLE IF NOT EXISTS records (
        number INTEGER PRIMARY KEY AUTOINCREMENT, taken_at REAL NOT NULL, payload BLOB NOT NULL
    ) STRICT;
"""


class SpoolInUse(ReceiptsError):
    """Another process has this spool; two senders would break the order."""


def own(folder: Path) -> IO[str]:
    """Hold the folder's lock for as long as the file is open; a killed process lets go of it."""
    lock = Path(folder / "owner").open("a+", encoding="ascii")  # noqa: SIM115 - closed with the spool
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise SpoolInUse(
            f"The spool {folder} is in use by process {owner}: one process sends from it. Give this one its own."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file, readable by its owner alone, and check it; raises sqlite3.DatabaseError if damaged."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.executescript(_SCHEMA)
        _check(db)
    except BaseException:
        db.close()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the file's name must outlive a power cut as well
    finally:
        os.close(folder)
    return db


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict.replace("\n", " "))
    db.execute("SELECT max(number) FROM records").fetchone()


def begin_anew(path: Path, error: sqlite3.DatabaseError) -> tuple[sqlite3.Connection, str]:
    """Set a damaged file aside and carry over what can be read of it; return the new one, and a sentence about it."""
    aside = path.with_name(f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.db")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    fresh = connect(path)
    saved = _carry_over(aside, fresh)
    return fresh, (
        f"The spool {path} was damaged ({error}). It was set aside as {aside}; {saved} records could be read and were "
        "carried over. Records beyond those may exist in that file only: keep it."
    )


def _carry_over(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy what can be read from a damaged file, in order, up to the first unreadable record; return how many."""
    saved, number = 0, 0
    with fresh:
        fresh.execute("BEGIN IMMEDIATE")
        try:
            with closing(sqlite3.connect(damaged)) as old:
                while row := old.execute(_READ_AGED, (number,)).fetchone():
                    number, taken_at, payload = row
                    fresh.execute(PUT, (taken_at, payload))
                    saved += 1
        except sqlite3.DatabaseError:
            return saved  # said in the sentence about the damage
    return saved
