"""The payloads of one stream become validated records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ingest import refusals
from ingest.access import Claims
from ingest.records import Incoming
from ingest.store_directory import StoreDirectory
from ingest.validation import Origin, Parsed, parse, place, refuse, refuse_foreign

_TURN = 200  # records validated before other streams get their turn: about 10 ms
_LARGE_BYTES = 64 * 1024  # 75 receipts' worth; a megabyte made to be slow takes a second, which no other till may wait


class Intake:
    """Reads, checks and completes the records of one stream.

    `to_json` turns a payload into JSON bytes, or into None when it cannot be decoded.
    """

    def __init__(
        self,
        bronze_table: str,
        source: str,
        to_json: Callable[[bytes], bytes | None],
        directory: StoreDirectory,
        max_record_bytes: int,
        claims: Claims,
    ) -> None:
        self.bronze_table = bronze_table
        self._source = source
        self._to_json = to_json
        self._directory = directory
        self._max_record_bytes = max_record_bytes
        self._claims = claims

    @property
    def expires_at(self) -> datetime:
        """Return until when the stream's token is good."""
        return self._claims.expires_at

    async def validate(self, payloads: Sequence[bytes]) -> list[Incoming]:
        """Return one record for each payload, accepted or refused, in the same order."""
        origin = Origin(self.bronze_table, self._source, datetime.now(UTC))
        read: list[Parsed | Incoming] = []
        for i, payload in enumerate(payloads, 1):
            large = len(payload) > _LARGE_BYTES
            read.append(await asyncio.to_thread(self._read, payload, origin) if large else self._read(payload, origin))
            if i % _TURN == 0:
                await asyncio.sleep(0)
        needed = {one.needs_store for one in read if isinstance(one, Parsed) and one.needs_store is not None}
        stores = await self._directory.covering(needed)
        placed = [place(one, stores, origin) if isinstance(one, Parsed) else one for one in read]
        return placed if self._claims.all_stores else [refuse_foreign(record, self._claims) for record in placed]

    def _read(self, payload: bytes, origin: Origin) -> Parsed | Incoming:
        record = self._to_json(payload)
        if record is None:
            held = refusals.beginning(payload, self._max_record_bytes)
            return refuse(held, "The record does not decode by its descriptor.", origin)
        return parse(record, origin, self._max_record_bytes)
