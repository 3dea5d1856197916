"""What the gateway knows of the stores: read from Postgres, and again when a record names one that is not known."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import psycopg

from ingest.backoff import delays
from ingest.link import Link
from ingest.recording import list_stores
from ingest.records import StorePlace

_log = logging.getLogger(__name__)
_FRESH_S = 60.0  # after so long a store's new region, written through another gateway, is noticed
_MISSING_S = 1.0  # a store that is not there is looked for once in so long, however many records name it


class StoreDirectory:
    """The stores by id. `link` is its own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._places: dict[int, StorePlace] = {}
        self._read_at = -_FRESH_S
        self._missing: dict[int, float] = {}  # store ids looked for in vain, and when
        self._reading = asyncio.Lock()

    async def covering(self, store_ids: AbstractSet[int]) -> Mapping[int, StorePlace]:
        """Return the known stores, having looked again for those of `store_ids` that were not known.

        Waits for as long as Postgres is away: whether a store exists cannot be said without it.
        """
        if self._must_read(store_ids):
            async with self._reading:
                if self._must_read(store_ids):
                    await self._read()
                    now = time.monotonic()
                    self._missing = {store_id: at for store_id, at in self._missing.items() if now - at < _MISSING_S}
                    self._missing.update(dict.fromkeys(store_ids - self._places.keys(), now))
        return self._places

    def learn(self, places: Iterable[tuple[int, StorePlace]]) -> None:
        """Take in stores that this gateway has just written."""
        for store_id, place in places:
            self._places[store_id] = place
            self._missing.pop(store_id, None)

    def _must_read(self, store_ids: AbstractSet[int]) -> bool:
        now = time.monotonic()
        if now - self._read_at >= _FRESH_S:
            return True
        unknown = store_ids - self._places.keys()
        return any(now - self._missing.get(store_id, -_MISSING_S) >= _MISSING_S for store_id in unknown)

    async def _read(self) -> None:
        for delay in delays(0.05, 1.0):
            try:
                async with self._link.transaction() as connection:
                    self._places = await list_stores(connection)
            except psycopg.Error as error:
                _log.warning("The stores cannot be read, trying again: %s", type(error).__name__)
                await asyncio.sleep(delay)
            else:
                self._read_at = time.monotonic()
                return
