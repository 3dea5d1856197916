"""What Bronze holds and Postgres does not know of: told to Postgres, and taken out of the outbox if it waits there too.

Run by the leading drainer before each window, on the heads that the window is committed through. The drainer notes the
version of each of its commits together with what it drained, so whatever lies beyond the noted version needs settling:
direct commits of gateways, a window whose drainer was killed before it noted it, and after a restored backup, or on a
new database, all that Postgres has lost. Every step may be repeated, so it does not matter where a drainer is killed.

A receipt may be in an uncommitted transaction of a gateway meanwhile. Inserting it here waits for that transaction,
and the outbox is looked at afterwards: either the gateway's row is seen and removed, or the gateway sees ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa

from configs.settings import Settings
from ingest import refusals
from ingest.bronze_writing import NEVER, Head, commits_between
from ingest.metrics import Metrics
from ingest.recording import Connection, list_stores, record_group
from ingest.records import Incoming, OutboxRow, ReceiptRow, StorePlace
from ingest.validation import Origin, Parsed, parse, place
from receipts.bronze import RECEIPTS
from receipts.database import DatabaseRole, conninfo
from receipts.sql import load_sql

_log = logging.getLogger(__name__)
SQL = load_sql("ingest", "settlement")
_LAST = 2**63 - 1  # beyond every sequence
_LOCK_MS = 5_000  # a gateway's transaction that hangs must not hold the drainer longer: it tries again


class _Judged(NamedTuple):
    """A row as Bronze holds it, and what is made of it here."""

    held: OutboxRow
    record: Incoming


def settle(settings: Settings, head: Head, settled: int | None, metrics: Metrics) -> int:
    """Make known what a Bronze table holds since version `settled` and return how many records were new to Postgres.

    Without `settled`, or when the table was made anew, all of it is looked at. Raises BronzeUnavailable and
    psycopg.Error, of which LockNotAvailable says that a transaction held a record for too long: what was settled
    before stays so. Never called inside a running event loop.
    """
    renewed = settled is not None and settled > head.version
    after = NEVER if settled is None or renewed else settled
    new = asyncio.run(_settle(settings, head, after, renewed=renewed))
    metrics.settled.labels(head.table.name).inc(new)
    if new:
        _log.info("Postgres learned %d records of %s from Bronze.", new, head.table.name)
    return new


async def _settle(settings: Settings, head: Head, after: int, *, renewed: bool) -> int:
    options = {"connect_timeout": 5, "options": f"-c lock_timeout={_LOCK_MS}"}  # 5 s: as everywhere
    login = conninfo(settings, DatabaseRole.INGEST, options)
    name, new = head.table.name, 0
    async with await psycopg.AsyncConnection.connect(login, autocommit=True) as connection:
        if renewed:
            _log.warning("%s is younger than what was noted of it: it was made anew.", name)
            await connection.execute(SQL["forget_settled"], {"bronze_table": name})
        stores = await list_stores(connection)
        for commit in commits_between(head.lake, name, after, head.version):
            for batch in commit.read():
                new += await _settle_records(connection, list(_judged(name, batch, stores)))
            if commit.files:
                await connection.execute(SQL["record_settled"], {"bronze_table": name, "version": commit.version})
        await connection.execute(SQL["record_settled"], {"bronze_table": name, "version": head.version})
    return new


async def _settle_records(connection: Connection, judged: Sequence[_Judged]) -> int:
    """Settle records of one table; what Postgres does not take is parted from the rest and held in quarantine."""
    try:
        async with connection.transaction():
            current = await _without_outdated(connection, [one.record for one in judged])
            written = await record_group(connection, current, queue=False)
            await connection.execute(SQL["free_outbox"], _identities([one.held for one in judged]))
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(judged) == 1 and judged[0].record.row is None:
            raise  # a refusal is plain text: if Postgres takes not even that, the schema is wrong
        middle = len(judged) // 2
        halves = (judged[:middle], judged[middle:]) if middle else ([_refused(judged[0], error)],)
        return sum([await _settle_records(connection, half) for half in halves])
    return written.new


async def _without_outdated(connection: Connection, records: Sequence[Incoming]) -> Sequence[Incoming]:
    """Leave out stores and customers of which Postgres has a newer version: receipts keep their first by themselves."""
    kept = [r for r in records if r.row is not None and not isinstance(r.row, ReceiptRow)]
    if not kept:
        return records
    rows = [record.bronze for record in kept]
    params = {"record_key": [row.record_key for row in rows], "sequence": [row.sequence for row in rows]}
    found = await connection.execute(SQL["list_outdated"], {"bronze_table": rows[0].bronze_table, **params})
    outdated = {sequence for (sequence,) in await found.fetchall()}
    return [record for record in records if record.row is None or record.bronze.sequence not in outdated]


def _identities(rows: Sequence[OutboxRow]) -> dict[str, Any]:
    once = [row.refusal is not None or row.bronze_table == RECEIPTS.name for row in rows]
    return {
        "bronze_table": rows[0].bronze_table,
        "payload_digest": [row.payload_digest for row in rows],
        "refused": [row.refusal is not None for row in rows],
        "upto": [_LAST if only else row.sequence for row, only in zip(rows, once, strict=True)],
    }


def _judged(bronze_table: str, batch: pa.RecordBatch, stores: Mapping[int, StorePlace]) -> Iterator[_Judged]:
    for row in sorted(batch.to_pylist(), key=lambda row: row["sequence"]):
        digest = bytes.fromhex(row.pop("payload_digest"))
        held = OutboxRow(bronze_table=bronze_table, payload_digest=digest, **row)
        yield _Judged(held, _complete(held) if held.refusal is not None else _accepted(held, stores))


def _accepted(bronze: OutboxRow, stores: Mapping[int, StorePlace]) -> Incoming:
    """Derive the row of a record that was accepted; what no longer is comes back refused, to be looked at."""
    payload, origin = bronze.payload.encode(), Origin(bronze.bronze_table, bronze.source, bronze.received_at)
    judged = parse(payload, origin, max_bytes=len(payload))
    if isinstance(judged, Parsed):  # with the document as Bronze has it: its digest is what the record is known by
        judged = place(replace(judged, document=bronze.payload), stores, origin)
    return replace(judged, bronze=judged.bronze._replace(sequence=bronze.sequence))


def _complete(bronze: OutboxRow) -> Incoming:
    """Complete a refused record: Bronze keeps the sentence alone, the kind follows from it."""
    kind = refusals.kind_of(bronze.refusal or "")
    missing = bronze.store_id if kind == refusals.UNKNOWN_STORE else None
    return Incoming(bronze._replace(kind=kind, missing_store_id=missing))


def _refused(judged: _Judged, error: psycopg.Error) -> _Judged:
    held = judged.held
    _log.error("Postgres refused a record that Bronze holds in %s: SQLSTATE %s", held.bronze_table, error.sqlstate)
    reason = refusals.database(error.sqlstate)
    return _Judged(held, Incoming(held._replace(refusal=reason, kind=refusals.DATABASE)))
