"""The normal way: a group of records in one Postgres transaction, each once, with its outbox rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg

from ingest import refusals
from ingest.link import Link
from ingest.numbering import Numbering
from ingest.recording import next_numbering, record_group, record_new_receipts
from ingest.records import Incoming, OutboxRow
from ingest.validation import Origin, refuse

_log = logging.getLogger(__name__)
_ATTEMPTS = 2  # the second one on a fresh connection: after a restart of Postgres only the old one is broken


class OutboxWay:
    """Commits groups over one link; a group may be written again, for what was written before changes nothing."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def write(self, records: Sequence[Incoming]) -> list[OutboxRow]:
        """Return the Bronze rows of the records that were new once all of them are durable and readable.

        A record that Postgres does not take is refused and the others are stored. Raises psycopg.Error when Postgres
        takes no writes; the outcome is unknown then.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._record(records)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                return await self._write_apart(records, error)
            except psycopg.Error:
                await self._link.close()
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def numbering(self) -> Numbering:
        """Return a numbering that no other process has, which also shows that Postgres takes writes.

        Raises psycopg.Error when it does not.
        """
        async with self._link.transaction() as connection:
            return await next_numbering(connection)

    async def _record(self, records: Sequence[Incoming]) -> list[OutboxRow]:
        """Write in one round trip what most groups are, receipts not seen before, and what is left in a transaction."""
        async with self._link.statement() as connection:
            new = await record_new_receipts(connection, records)
        if len(new) < len(records):
            async with self._link.transaction() as connection:
                new += (await record_group(connection, records)).rows
        return new

    async def _write_apart(self, records: Sequence[Incoming], error: psycopg.Error) -> list[OutboxRow]:
        """Write halves by themselves, down to the one record that Postgres does not take: that one is refused."""
        if len(records) > 1:
            middle = len(records) // 2
            return await self.write(records[:middle]) + await self.write(records[middle:])
        row = records[0].bronze
        if row.refusal is not None:
            raise error  # a refusal is plain text: if Postgres takes not even that, the schema is wrong
        _log.error("Postgres refused a validated record of %s: SQLSTATE %s", row.bronze_table, error.sqlstate)
        origin = Origin(row.bronze_table, row.source, row.received_at)
        refused = refuse(row.payload.encode(), refusals.database(error.sqlstate), origin)
        return await self.write([Incoming(refused.bronze._replace(sequence=row.sequence))])
