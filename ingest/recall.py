"""Which records Bronze holds already: the identities of what it received lately, whoever wrote it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingest.bronze_writing import BronzeUnavailable, Head, commits_between
from ingest.records import OutboxRow

_PREFIX_BYTES = 16  # of a SHA-256: two of a million million records share them with a chance of 1 in 10^15
_FRESH_S = 3_600.0  # after so long the set is read anew, which forgets what has grown too old
_COLUMNS = ["payload_digest", "refusal"]


class Recall:
    """The identities of the rows of one Bronze table that were received within `hours`.

    About 100 bytes a row. Blocking, and for one thread at a time.
    """

    def __init__(self, hours: float) -> None:
        self._hours = timedelta(hours=hours)
        self._known: set[bytes] = set()
        self._version: int | None = None  # up to which version of the table they are known
        self._read_at = 0.0

    def catch_up(self, head: Head) -> None:
        """Know all that was seen of the table. Raises BronzeUnavailable."""
        if self._version is None or time.monotonic() - self._read_at > _FRESH_S:
            self._version = None
            self._known = set(_identities(_lately(head.handle, datetime.now(UTC) - self._hours)))
            self._read_at = time.monotonic()
        else:
            for commit in commits_between(head.lake, head.table.name, self._version, head.version):
                self._known.update(_identities(commit.read(_COLUMNS)))
        self._version = head.version

    def learn(self, rows: Iterable[OutboxRow], *, after: int, version: int) -> None:
        """Know the rows that were committed as `version` by whoever had caught up to `after`."""
        self._known.update(_key(row.payload_digest, refused=row.refusal is not None) for row in rows)
        if version == after + 1:  # else another commit, such as a compaction, lies between: the next look sees both
            self._version = version

    def unknown(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """Return the rows that Bronze does not hold, each identity once, in the same order."""
        new: dict[bytes, OutboxRow] = {}
        for row in rows:
            key = _key(row.payload_digest, refused=row.refusal is not None)
            if key not in self._known:
                new.setdefault(key, row)
        return list(new.values())


def _lately(table: DeltaTable, since: datetime) -> Iterator[pa.RecordBatch]:
    try:
        yield from table.to_pyarrow_dataset().to_batches(columns=_COLUMNS, filter=pc.field("received_at") >= since)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise BronzeUnavailable(BronzeUnavailable.__doc__) from error


def _identities(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    for rows in batches:
        digests: list[str] = rows["payload_digest"].to_pylist()
        refused: list[bool] = rows["refusal"].is_valid().to_pylist()
        for digest, was in zip(digests, refused, strict=True):
            yield _key(bytes.fromhex(digest[: 2 * _PREFIX_BYTES]), refused=was)


def _key(digest: bytes, *, refused: bool) -> bytes:
    return digest[:_PREFIX_BYTES] + b"r" if refused else digest[:_PREFIX_BYTES]
