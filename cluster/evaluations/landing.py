"""Whole data sets in Bronze, judged record by record as the gateway and the import judge them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from ingest.adapters.found import Found
from ingest.bronze_writing import Row, commit_rows, open_for_append
from ingest.importing import judge
from ingest.numbering import Numbering
from ingest.records import Incoming, StorePlace
from ingest.validation import Origin
from receipts import bronze
from receipts.lake import Lake, LakeTable
from receipts.models import Store

_COMMIT_RECORDS = 20_000  # some tens of megabytes
_SOURCE = "import:evaluation"


def land(
    lake: Lake, stores: Iterable[str], customers: Iterable[str], receipts: Iterable[Found], max_bytes: int
) -> dict[str, int]:
    """Bring a data set into Bronze, accepted and refused records alike; returns the rows by table."""
    stores = list(stores)
    models = [Store.model_validate_json(text) for text in stores]
    places = {store.store_id: StorePlace(store.region_id, store.time_zone) for store in models}
    records = (
        (bronze.STORES, (_found(text) for text in stores)),
        (bronze.CUSTOMERS, (_found(text) for text in customers)),
        (bronze.RECEIPTS, receipts),
    )
    numbering = Numbering(0)
    return {table.name: _land(lake, table, found, places, numbering, max_bytes) for table, found in records}


def _found(text: str) -> Found:
    return Found(0, 0, text)


def _land(
    lake: Lake,
    table: LakeTable,
    found: Iterable[Found],
    places: Mapping[int, StorePlace],
    numbering: Numbering,
    max_bytes: int,
) -> int:
    origin = Origin(table.name, _SOURCE, datetime.now(UTC))
    judged = (judge(one, places, origin, max_bytes) for one in found)
    landed = 0
    while chunk := numbering.number(islice(judged, _COMMIT_RECORDS)):
        commit_rows(open_for_append(lake, table), list(_rows(chunk)), [])
        landed += len(chunk)
    return landed


def _rows(records: Iterable[Incoming]) -> Iterator[Row]:
    for row in (record.bronze for record in records):
        digest = row.payload_digest.hex()
        yield (
            row.record_key, row.store_id, row.sequence, row.received_at, row.source, digest, row.payload, row.refusal,
        )  # fmt: skip
