"""Where every Bronze receipt went: it serves, was superseded by a later version, or is in quarantine."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from data_jobs.commits import cursor_of
from data_jobs.tables import silver_quarantine, silver_receipts
from receipts.bronze import RECEIPTS
from receipts.lake import Lake

_ID = ("sequence", "payload_digest")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Bronze rows by where they went. `waiting` were not read yet; `unaccounted` must be zero."""

    bronze: int
    serving: int
    superseded: int
    quarantined: int
    waiting: int
    unaccounted: int


def reconcile(lake: Lake) -> Accounts:
    """Look every Bronze receipt row up in Silver and in the quarantine by its sequence and digest.

    Reads key columns of whole tables; right only while no batch is being committed.
    """
    name = silver_receipts.TABLE.name
    read = cursor_of(lake.open(name), silver_receipts.TABLE.cursor) if lake.exists(name) else -1
    bronze = _rows(lake, RECEIPTS.name, "record_key", *_ID)
    seen = _rows(lake, RECEIPTS.name, *_ID, version=read) if read >= 0 else bronze.clear()
    serving = _rows(lake, name, "receipt_id", *_ID)
    refused = _rows(lake, silver_quarantine.TABLE.name, "bronze_table", *_ID).filter(
        pl.col("bronze_table") == RECEIPTS.name
    )
    waiting = bronze.join(seen, on=_ID, how="anti")
    rest = bronze.join(seen, on=_ID, how="semi").join(serving, on=_ID, how="anti").join(refused, on=_ID, how="anti")
    superseded = rest.join(serving, left_on="record_key", right_on="receipt_id", how="semi")
    return Accounts(
        bronze.height,
        serving.height,
        superseded.height,
        refused.height,
        waiting.height,
        rest.height - superseded.height,
    )


def _rows(lake: Lake, name: str, *columns: str, version: int | None = None) -> pl.DataFrame:
    types = {"sequence": pl.Int64}
    if not lake.exists(name):
        return pl.DataFrame(schema={column: types.get(column, pl.String()) for column in columns})
    rows = pl.from_arrow(lake.open(name, version).to_pyarrow_table(columns=list(columns)))
    assert isinstance(rows, pl.DataFrame)
    return rows
