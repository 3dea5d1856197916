"""Whole files into Postgres, each content exactly once however often and however interrupted it is imported.

A chunk of records and the progress of the file are one transaction. An adapter finds the same records in the same order
each time, so an import that was killed goes on with the record after the last one written.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.errors import LockNotAvailable

from configs.settings import Settings
from ingest import refusals
from ingest.adapters.found import BrokenFile, Found, ZoneOf
from ingest.import_reports import Report, find_report
from ingest.numbering import Numbering
from ingest.recording import Connection, Written, list_stores, next_numbering, record_group
from ingest.records import Incoming, StorePlace
from ingest.validation import Origin, Parsed, parse, place, refuse
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from receipts.errors import ReceiptsError, Unavailable
from receipts.sql import load_sql

CHUNK_RECORDS = 500
_SQL = load_sql("ingest", "importing")
_DIGEST_BYTES = 1024 * 1024  # read at once while the digest is made
_NOTHING = Written(0, 0, ())
_LOCK_WAIT_MS = 10_000  # so long the session of a killed import may take to end

OnProgress = Callable[[int, Report], None]  # bytes read, and the report so far


class ImportConflict(ReceiptsError):
    """The same content is being imported by another process; run again when that has ended."""


class ChangedFile(ReceiptsError):
    """The file was changed while it was imported; the changed file is another one: import it again."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file and the adapter that reads it. `time_zone` is for stores that are not known."""

    path: Path
    format: str
    read: Callable[[ZoneOf], Iterator[Found]]
    time_zone: ZoneInfo | None = None


async def import_file(settings: Settings, source: FileSource, *, dry_run: bool, on_progress: OnProgress) -> Report:
    """Import a file, go on with it, or find that it is finished; return its report.

    With `dry_run` every chunk is written and rolled back: the report is true, but nothing is kept. A file that breaks
    off is imported up to there, and its report says where. Raises ImportConflict, ChangedFile, Unavailable.
    """
    stamp = _stamp(source.path)
    digest = content_digest(source.path)
    async with _connected(settings) as connection:
        await _lock(connection, digest)
        report = await _begin(connection, source, digest, dry_run=dry_run)
        if report.finished_at is not None:
            return report
        work = _Import(connection, settings, source, digest, await next_numbering(connection))
        await work.load_stores()
        broken = None
        try:
            for chunk in _chunks(islice(source.read(work.zone_of), report.records, None)):
                if _stamp(source.path) != stamp:
                    raise ChangedFile(f"{source.path} was changed while it was imported; run the import again.")
                async with connection.transaction(force_rollback=dry_run):
                    report = await work.write(chunk, report, dry_run=dry_run)
                on_progress(chunk[-1].done_bytes, report)
        except BrokenFile as error:
            broken = str(error)
        if dry_run:
            return replace(report, broken=broken)
        await connection.execute(_SQL["record_import_end"], {"content_digest": digest, "broken": broken})
        return await find_report(connection, digest)


def content_digest(path: Path) -> bytes:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BYTES):
            digest.update(block)
    return digest.digest()


def judge(found: Found, places: Mapping[int, StorePlace], origin: Origin, max_bytes: int) -> Incoming:
    """Return the record that something found becomes, or the refusal of it; a refused payload is cut at `max_bytes`."""
    payload = found.payload.encode()
    if found.problem:
        return refuse(refusals.beginning(payload, max_bytes), found.problem, origin)
    parsed = parse(payload, origin, max_bytes)
    return place(parsed, places, origin) if isinstance(parsed, Parsed) else parsed


class _Import:
    """The work on one file over one connection."""

    def __init__(
        self, connection: Connection, settings: Settings, source: FileSource, digest: bytes, numbering: Numbering
    ) -> None:
        self._connection = connection
        self._max_bytes = settings.ingest.max_record_bytes
        self._time_zone = source.time_zone
        self._digest = digest
        self._numbering = numbering
        self._places: dict[int, StorePlace] = {}

    async def load_stores(self) -> None:
        """Learn the stores that are known by now."""
        self._places = await list_stores(self._connection)

    def zone_of(self, store_id: int) -> ZoneInfo | None:
        """Return the time zone of a store, or the one given for stores that are not known."""
        known = self._places.get(store_id)
        return self._time_zone if known is None else ZoneInfo(known.time_zone)

    async def write(self, chunk: Sequence[Found], report: Report, *, dry_run: bool) -> Report:
        """Write a chunk and the progress in the running transaction; return the report after it."""
        await self.load_stores()
        origin = Origin(bronze.RECEIPTS.name, f"import:{self._digest.hex()[:12]}", datetime.now(UTC))
        meant = [found for found in chunk if not found.skipped]
        judged = self._numbering.number(judge(found, self._places, origin, self._max_bytes) for found in meant)
        written, records = await self._record(judged, origin) if judged else (_NOTHING, [])
        reasons = iter(record.bronze.refusal for record in records)
        notes = [
            (number, found, found.skipped or next(reasons)) for number, found in enumerate(chunk, report.records + 1)
        ]
        refused = sum(record.bronze.refusal is not None for record in records)
        new = written.new - written.refused
        tally = {"new": new, "known": len(records) - refused - new, "refused": refused}
        tally["skipped"] = len(chunk) - len(records)
        if not dry_run:
            await self._note(tally, report.records, [(n, found, why) for n, found, why in notes if why])
        return report.after(tally, ((bool(found.skipped), why) for _, found, why in notes if why))

    async def _record(self, records: Sequence[Incoming], origin: Origin) -> tuple[Written, list[Incoming]]:
        """Write records; when Postgres refuses what one of them holds, write halves, down to the one it refuses."""
        try:
            async with self._connection.transaction():
                return await record_group(self._connection, records), list(records)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            row = records[0].bronze
            if len(records) == 1 and row.refusal is not None:
                raise  # a refusal is plain text: if Postgres takes not even that, the schema is wrong
            if len(records) == 1:
                reason = refusals.database(error.sqlstate)
                return await self._record(
                    self._numbering.number([refuse(row.payload.encode(), reason, origin)]), origin
                )
        middle = len(records) // 2
        first, before = await self._record(records[:middle], origin)
        second, after = await self._record(records[middle:], origin)
        return Written(first.new + second.new, first.refused + second.refused, ()), before + after

    async def _note(self, tally: dict[str, int], before: int, notes: Sequence[tuple[int, Found, str]]) -> None:
        progress = {**tally, "before": before, "content_digest": self._digest}
        if await (await self._connection.execute(_SQL["record_progress"], progress)).fetchone() is None:
            raise ImportConflict("Another process goes on with this import; run again when it has ended.")
        if notes:
            columns = {
                "record": [number for number, _, _ in notes],
                "position": [found.position for _, found, _ in notes],
                "skipped": [bool(found.skipped) for _, found, _ in notes],
                "reason": [why for _, _, why in notes],
            }
            await self._connection.execute(_SQL["record_import_refusals"], {**columns, "content_digest": self._digest})


async def _begin(connection: Connection, source: FileSource, digest: bytes, *, dry_run: bool) -> Report:
    if dry_run:
        return Report(digest.hex(), source.format, source.path.name, datetime.now(UTC))
    what = {"content_digest": digest, "format": source.format, "file_name": source.path.name}
    await connection.execute(_SQL["record_import"], what)
    return await find_report(connection, digest)


async def _lock(connection: Connection, digest: bytes) -> None:
    key = int.from_bytes(digest[:8], signed=True)
    try:
        await connection.execute(_SQL["lock_import"], {"key": key})
    except LockNotAvailable:
        raise ImportConflict(
            "This content is being imported by another process; run again when it has ended."
        ) from None


def _chunks(found: Iterator[Found]) -> Iterator[list[Found]]:
    """Yield chunks; what was found before a file breaks off is a chunk too, before the error."""
    chunk: list[Found] = []
    try:
        for one in found:
            chunk.append(one)
            if len(chunk) == CHUNK_RECORDS:
                yield chunk
                chunk = []
    except BrokenFile:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncGenerator[Connection]:
    options = {"connect_timeout": 5, "options": f"-c lock_timeout={_LOCK_WAIT_MS}"}  # 5 s: a command must not hang
    try:
        connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
            conninfo(settings, DatabaseRole.INGEST, options), autocommit=True
        )
        async with connection:
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable("Postgres cannot be reached; run again and the import goes on where it stopped.") from error
