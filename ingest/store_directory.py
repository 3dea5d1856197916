"""What the gateway knows of the stores: from Postgres, from Bronze while Postgres is away, and from what it wrote."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from ingest.backoff import delays
from ingest.link import Link
from ingest.recording import list_stores
from ingest.records import StorePlace
from receipts import bronze
from receipts.lake import Lake

_log = logging.getLogger(__name__)
_FRESH_S = 60.0  # after so long a store's new region, written through another gateway, is noticed
_MISSING_S = 1.0  # a store that is not there is looked for once in so long, however many records name it


class StoreDirectory:
    """The stores by id. `link` is its own."""

    def __init__(self, link: Link, lake: Lake) -> None:
        self._link = link
        self._lake = lake
        self._places: dict[int, StorePlace] = {}
        self._read_at = -_FRESH_S
        self._missing: dict[int, float] = {}  # store ids looked for in vain, and when
        self._reading = asyncio.Lock()
        self._troubled = False

    async def covering(self, store_ids: AbstractSet[int]) -> Mapping[int, StorePlace]:
        """Return the known stores, having looked again for those of `store_ids` that were not known.

        Waits only while such a store can be looked for nowhere: then nothing could be acknowledged either.
        """
        for delay in delays(0.05, 1.0):
            if not self._must_read(store_ids):
                break
            async with self._reading:
                answered = not self._must_read(store_ids) or await self._look_for(store_ids)
            if answered or store_ids <= self._places.keys():
                break
            await asyncio.sleep(delay)
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

    async def _look_for(self, store_ids: AbstractSet[int]) -> bool:
        """Ask Postgres, else Bronze; say whether one of them answered.

        What is known stays: Postgres learns late of what went straight to Bronze.
        """
        found = await self._ask_postgres()
        if found is None:
            found = await self._ask_bronze()
        now = self._read_at = time.monotonic()
        if found is None:
            return False
        self._places = {**self._places, **found}
        self._missing = {store_id: at for store_id, at in self._missing.items() if now - at < _MISSING_S}
        self._missing.update(dict.fromkeys(store_ids - self._places.keys(), now))
        return True

    async def _ask_postgres(self) -> dict[int, StorePlace] | None:
        """Ask again on a fresh connection when the one there was is broken."""
        for last in (True,) if self._troubled else (False, True):
            try:
                async with self._link.transaction() as connection:
                    found = await list_stores(connection)
            except psycopg.Error as error:
                await self._link.close()
                if last and not self._troubled:
                    _log.warning("The stores cannot be read from Postgres, asking Bronze: %s", type(error).__name__)
                    self._troubled = True
            else:
                self._troubled = False
                return found
        return None

    async def _ask_bronze(self) -> dict[int, StorePlace] | None:
        try:
            return await asyncio.to_thread(list_stores_in_bronze, self._lake)
        except (DeltaError, OSError, pa.ArrowException) as error:
            _log.warning("The stores cannot be read from Bronze either: %s", type(error).__name__)
            return None


def list_stores_in_bronze(lake: Lake) -> dict[int, StorePlace]:
    """Return the region and time zone of every store as its latest record in Bronze has them; blocking.

    Raises DeltaError, OSError or ArrowException when Bronze cannot be read.
    """
    dataset = lake.ensure(bronze.STORES).to_pyarrow_dataset()
    rows = dataset.to_table(["store_id", "sequence", "payload"], filter=pc.field("refusal").is_null())
    documents = map(json.loads, rows.sort_by("sequence")["payload"].to_pylist())
    return {one["store_id"]: StorePlace(one["region_id"], one["time_zone"]) for one in documents}
