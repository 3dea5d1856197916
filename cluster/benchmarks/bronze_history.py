"""A generated history in Bronze as the drainer leaves it, with repeats, corrections and wrong receipts among it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain

import polars as pl
from deltalake import write_deltalake

from ingest.sources.synthetic.history import chunk_receipts, history_stores
from ingest.sources.synthetic.plan import Plan, make_plan
from receipts import bronze
from receipts.lake import Lake, LakeTable

_START, _END = date(2025, 1, 1), date(2026, 9, 30)
_RECEIVED_AT = datetime(2026, 10, 1, tzinfo=UTC)
_CUSTOMERS, _RECEIPTS_EACH = 10_000, 63  # at least so many customers, with a year of shopping each
_REPEATED, _WRONG = 50, 100  # every so many receipts one comes again, or does not add up
FILE_CHUNKS = 5  # of 4,000 receipts: a file of the drainer after an hour without it


def history_plan(receipts: int) -> Plan:
    """Return the plan of a history with ten thousand customers, more where there are more than five million lines."""
    customers = max(_CUSTOMERS, receipts // _RECEIPTS_EACH)
    return make_plan(receipts=receipts, seed=11, start=_START, end=_END, stores=400, customers=customers)


def land_stores(lake: Lake, plan: Plan) -> None:
    """Put the plan's stores into Bronze."""
    _append(lake, bronze.STORES, history_stores(plan), r'"store_id":(\d+)', 0)


def land_chunks(lake: Lake, plan: Plan, numbers: Iterable[int]) -> int:
    """Put chunks of receipts into Bronze, some to a file; returns how many rows that is."""
    rows, wanted = 0, list(numbers)
    for first in range(0, len(wanted), FILE_CHUNKS):
        some = wanted[first : first + FILE_CHUNKS]
        texts = list(chain.from_iterable(chunk_receipts(plan, number) for number in some))
        rows += _append(lake, bronze.RECEIPTS, _soiled(texts), r'"receipt_id":"(\d+)"', some[0] * 1_000_000)
    return rows


def land_receipts(lake: Lake, texts: Iterable[str], first_sequence: int) -> int:
    """Put receipts into Bronze as one file; returns how many."""
    return _append(lake, bronze.RECEIPTS, texts, r'"receipt_id":"(\d+)"', first_sequence)


def _soiled(texts: list[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield text.replace('"subtotal_cents":', '"subtotal_cents":9') if number % _WRONG == 1 else text
        if number % _REPEATED == 0:
            yield text


def _append(lake: Lake, table: LakeTable, texts: Iterable[str], key: str, first_sequence: int) -> int:
    payload = pl.Series("payload", list(texts))
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in payload]
    rows = pl.DataFrame({"payload": payload, "payload_digest": digests}).with_columns(
        sequence=pl.int_range(pl.len()) + first_sequence
    )
    envelope = rows.select(
        record_key=pl.col("payload").str.extract(key),
        store_id=pl.col("payload").str.extract(r'"store_id":(\d+)').cast(pl.Int32),
        sequence="sequence",
        received_at=pl.lit(_RECEIVED_AT) + (pl.col("sequence") % 10**12) * timedelta(microseconds=1),
        source=pl.lit("bench"),
        payload_digest="payload_digest",
        payload="payload",
        refusal=pl.lit(None, dtype=pl.String),
    )
    write_deltalake(lake.ensure(table), envelope.to_arrow().cast(bronze.ENVELOPE), mode="append")
    return envelope.height
