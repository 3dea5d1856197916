"""The writes of one group commit: the records of many tills in one transaction, each exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import psycopg

from ingest.numbering import Numbering
from ingest.records import CustomerRow, Identity, Incoming, OutboxRow, ReceiptRow, StorePlace, StoreRow
from receipts.sql import load_sql

SQL = load_sql("ingest", "records")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Written(NamedTuple):
    """How many records of a group were new, how many of those were refused, and the Bronze rows of the new ones."""

    new: int
    refused: int
    rows: Sequence[OutboxRow]


async def record_group(connection: Connection, group: Iterable[Incoming], *, queue: bool = True) -> Written:
    """Write a group in the connection's transaction; what was received before changes nothing.

    The outbox gets one row for each new payload, unless `queue` is false because Bronze holds them already. The
    records are numbered (ingest/numbering.py).
    """
    first: dict[Identity, Incoming] = {}
    for record in group:
        first.setdefault(record.identity, record)
    records = list(first.values())
    news = await _record_stores(connection, [r for r in records if isinstance(r.row, StoreRow)])
    news |= await _record_customers(connection, [r for r in records if isinstance(r.row, CustomerRow)])
    receipts = [r for r in records if isinstance(r.row, ReceiptRow)]
    queued = await _record_receipts(connection, receipts, queue=queue)
    news |= await _record_corrections(connection, [r for r in receipts if r.identity not in queued])
    news |= await _record_refusals(connection, [r for r in records if r.row is None])
    if news and queue:
        waiting = [record.bronze for record in records if record.identity in news]
        await connection.execute(SQL["record_outbox"], _columns(waiting), prepare=True)
    news |= queued
    new = [record.bronze for record in records if record.identity in news]
    return Written(len(new), sum(row.refusal is not None for row in new), new)


async def record_new_receipts(connection: Connection, records: Sequence[Incoming]) -> list[OutboxRow]:
    """Insert and queue a group of receipts that are all new by one statement, which needs no transaction around it.

    Returns the Bronze rows of those inserted. Nothing is inserted when the group holds anything else, or a receipt that
    is known: what follows that one would come before it. Fewer than all come back when another gateway has just written
    one of them.
    """
    keys = {record.bronze.record_key for record in records if isinstance(record.row, ReceiptRow)}
    if len(keys) < len(records):
        return []
    inserted = await _record_receipts(connection, records, queue=True, all_new=True)
    return [record.bronze for record in records if record.identity in inserted]


async def next_numbering(connection: Connection) -> Numbering:
    """Return a numbering of records that no other running process has."""
    row = await (await connection.execute(SQL["next_gateway_number"])).fetchone()
    if row is None:
        raise RuntimeError("a sequence always has a next value")
    return Numbering(row[0])


async def list_stores(connection: Connection) -> dict[int, StorePlace]:
    """Return the region and time zone of every store."""
    rows = await (await connection.execute(SQL["list_stores"])).fetchall()
    return {store_id: StorePlace(region_id, time_zone) for store_id, region_id, time_zone in rows}


async def _record_stores(connection: Connection, records: Sequence[Incoming]) -> set[Identity]:
    news: set[Identity] = set()
    for versions in _rounds(records):
        rows = await _fetch(connection, "record_stores", [r.row for r in versions.values()])
        news |= {versions[key].identity for (key,) in rows}
    return news


async def _record_customers(connection: Connection, records: Sequence[Incoming]) -> set[Identity]:
    news: set[Identity] = set()
    for versions in _rounds(records):
        rows = await _fetch(connection, "record_customers", [r.row for r in versions.values()])
        news |= {versions[key].identity for (key,) in rows}
    return news


async def _record_receipts(
    connection: Connection, records: Sequence[Incoming], *, queue: bool, all_new: bool = False
) -> set[Identity]:
    """Insert first versions together with their outbox rows."""
    if not records:
        return set()
    versions = next(_rounds(records))
    first = list(versions.values())
    columns = _columns([record.row for record in first]) | {
        "source": [record.bronze.source for record in first],
        "sequence": [record.bronze.sequence for record in first],
        "queue": queue,
        "all_new": all_new,
    }
    cursor = await connection.execute(SQL["record_receipts"], columns, prepare=True)
    return {versions[key].identity for (key,) in await cursor.fetchall()}


async def _record_corrections(connection: Connection, others: Sequence[Incoming]) -> set[Identity]:
    """Note as corrections what is neither new nor a repeat."""
    known = {(record.bronze.record_key, record.bronze.payload_digest): record for record in others}
    found = await _fetch(connection, "record_corrections", [record.row for record in known.values()])
    return {known[key, digest].identity for key, digest in found}


async def _record_refusals(connection: Connection, records: Sequence[Incoming]) -> set[Identity]:
    rows = await _fetch(connection, "record_refusals", [r.bronze for r in records])
    return {(table, digest, True) for table, digest in rows}


def _rounds(records: Sequence[Incoming]) -> Iterator[dict[str | None, Incoming]]:
    """Part records so that each key occurs once in a round: a statement cannot touch a row twice."""
    rest = records
    while rest:
        versions: dict[str | None, Incoming] = {}
        for record in rest:
            versions.setdefault(record.bronze.record_key, record)
        yield versions
        rest = [record for record in rest if versions[record.bronze.record_key] is not record]


async def _fetch(connection: Connection, block: str, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    if not rows:
        return []
    cursor = await connection.execute(SQL[block], _columns(rows), prepare=True)
    return await cursor.fetchall()


def _columns(rows: Sequence[Any]) -> dict[str, Any]:
    """Turn named tuples into one array for each field."""
    return {name: list(column) for name, column in zip(rows[0]._fields, zip(*rows, strict=True), strict=True)}
