"""A refused record judged again: replayed as it is, corrected, or dismissed, each in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg

from ingest import refusals
from ingest.numbering import Numbering
from ingest.recording import Connection, list_stores, next_numbering, record_group
from ingest.records import Incoming
from ingest.validation import Origin, Parsed, parse, place
from receipts.errors import NotFound
from receipts.sql import load_sql

_SQL = load_sql("ingest", "judging")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a refusal: its state, what it was accepted as, or the reason it is still refused for."""

    quarantine_id: int
    state: str
    accepted_key: str | None = None
    reason: str | None = None


class _Held(NamedTuple):
    bronze_table: str
    source: str
    received_at: datetime
    state: str
    accepted_key: str | None
    payload: str


class Desk:
    """Judges refused records of `max_bytes` at most. A record that was judged for good is left as it is."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._numbering: Numbering | None = None

    async def replay(self, connection: Connection, quarantine_id: int, *, dry_run: bool = False) -> Verdict:
        """Validate a held payload as if it came now. Raises NotFound."""
        return await self._judge(connection, quarantine_id, None, dry_run=dry_run)

    async def fix(
        self, connection: Connection, quarantine_id: int, payload: bytes, *, dry_run: bool = False
    ) -> Verdict:
        """Validate a corrected record; what it corrects stays in quarantine as it came. Raises NotFound."""
        return await self._judge(connection, quarantine_id, payload, dry_run=dry_run)

    async def dismiss(self, connection: Connection, quarantine_id: int) -> Verdict:
        """Note that a record is not to be stored. Raises NotFound."""
        async with connection.transaction():
            held = await _lock(connection, quarantine_id)
            if held.state != "held":
                return Verdict(quarantine_id, held.state, held.accepted_key)
            await connection.execute(_SQL["note_dismissed"], {"quarantine_id": quarantine_id})
        return Verdict(quarantine_id, "dismissed")

    async def _judge(
        self, connection: Connection, quarantine_id: int, correction: bytes | None, *, dry_run: bool
    ) -> Verdict:
        try:
            async with connection.transaction():
                held = await _lock(connection, quarantine_id)
                if held.state != "held":
                    return Verdict(quarantine_id, held.state, held.accepted_key)
                source = held.source if correction is None else f"quarantine:{quarantine_id}"
                payload = held.payload.encode() if correction is None else correction
                origin = Origin(held.bronze_table, source, held.received_at)
                record = parse(payload, origin, self._max_bytes)
                if isinstance(record, Parsed):
                    record = place(record, await list_stores(connection), origin)
                verdict = _verdict(quarantine_id, record, "replayed" if correction is None else "fixed")
                if not dry_run:
                    await self._store(connection, record, verdict, corrected=correction is not None)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            return await self._refused_by_database(connection, quarantine_id, error, dry_run=dry_run)
        return verdict

    async def _store(self, connection: Connection, record: Incoming, verdict: Verdict, *, corrected: bool) -> None:
        if verdict.reason is None:
            if self._numbering is None:
                self._numbering = await next_numbering(connection)
            await record_group(connection, self._numbering.number([record]))
            noted = {"quarantine_id": verdict.quarantine_id, "state": verdict.state}
            await connection.execute(_SQL["note_accepted"], noted | {"accepted_key": verdict.accepted_key})
        elif not corrected:  # why a correction failed says nothing of the record that is held
            await _note_refused(connection, verdict, record.bronze.kind, record.bronze.missing_store_id)

    async def _refused_by_database(
        self, connection: Connection, quarantine_id: int, error: psycopg.Error, *, dry_run: bool
    ) -> Verdict:
        verdict = Verdict(quarantine_id, "held", reason=refusals.database(error.sqlstate))
        if not dry_run:
            async with connection.transaction():
                await _note_refused(connection, verdict, refusals.DATABASE, None)
        return verdict


def _verdict(quarantine_id: int, record: Incoming, state: str) -> Verdict:
    if record.bronze.refusal is not None:
        return Verdict(quarantine_id, "held", reason=record.bronze.refusal)
    return Verdict(quarantine_id, state, record.bronze.record_key)


async def _lock(connection: Connection, quarantine_id: int) -> _Held:
    rows = await connection.execute(_SQL["lock_refusal"], {"quarantine_id": quarantine_id})
    row = await rows.fetchone()
    if row is None:
        raise NotFound(f"Nothing in quarantine has the number {quarantine_id}.")
    return _Held(*row)


async def _note_refused(
    connection: Connection, verdict: Verdict, kind: str | None, missing_store_id: int | None
) -> None:
    told = {"quarantine_id": verdict.quarantine_id, "reason": verdict.reason, "kind": kind}
    await connection.execute(_SQL["note_refused"], told | {"missing_store_id": missing_store_id})
