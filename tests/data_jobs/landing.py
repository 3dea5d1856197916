"""Records put into Bronze as the drainer puts them there, and the lake refined without Ray."""

import hashlib
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake

from data_jobs.batches import Batch
from data_jobs.plans import Outcome, Plan
from data_jobs.refinement import Refinery, refine_all
from data_jobs.slices import refine_slice
from receipts import bronze
from receipts.lake import Lake, LakeTable
from receipts.models import Customer, Receipt, Record, Store

RECEIVED_AT = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
_sequence = itertools.count(1)


def land(lake: Lake, table: LakeTable, records: Iterable[Record], received_at: datetime = RECEIVED_AT) -> None:
    """Append accepted records to a Bronze table in one commit."""
    land_payloads(lake, table, [(_key(record), record.canonical()) for record in records], received_at)


def land_payloads(
    lake: Lake,
    table: LakeTable,
    payloads: Iterable[tuple[str | None, str]],
    received_at: datetime = RECEIVED_AT,
    refusal: str | None = None,
) -> None:
    """Append payloads with their record keys to a Bronze table in one commit."""
    rows = [
        {
            "record_key": key,
            "sequence": next(_sequence),
            "received_at": received_at,
            "source": "test",
            "payload_digest": hashlib.sha256(payload.encode()).hexdigest(),
            "payload": payload,
            "refusal": refusal,
        }
        for key, payload in payloads
    ]
    write_deltalake(lake.ensure(table), pa.Table.from_pylist(rows, schema=bronze.ENVELOPE), mode="append")


def run_here(plan: Plan) -> Outcome:
    """Run slices one after the other in this process, by way of the text that a Ray task sends."""
    outcome = Outcome()
    for number in range(plan.slices):
        outcome += Outcome.from_json(refine_slice(plan, number).to_json())
    return outcome


def refine_here(lake: Lake) -> list[Batch]:
    """Refine all that is new without Ray."""
    return list(refine_all(Refinery(lake, run_here, parallelism=2)))


def rows_of(lake: Lake, name: str, version: int | None = None) -> pl.DataFrame:
    """Return all rows of a table."""
    rows = pl.from_arrow(lake.open(name, version).to_pyarrow_table())
    assert isinstance(rows, pl.DataFrame)
    return rows


def _key(record: Record) -> str:
    match record:
        case Receipt():
            return record.receipt_id
        case Store():
            return str(record.store_id)
        case Customer():
            return record.customer_id
    raise AssertionError(record)
