"""How rows that are kept for long enough go without taking with them what they added up to.

A commit of retention says so in its lineage, and so does every commit that follows from it. Rows derived from expired
ones go too, and so does what is personal. Sums that tell nothing of a person pass over such commits: what a store took
seven years ago stays what it took.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import takewhile
from typing import Any

import polars as pl
from deltalake import DeltaTable

from data_jobs.changes import NEVER, ChangeRange
from data_jobs.declaration import Action, Expectation, Kind, Personal, Table
from receipts.lake import Lake

APPLICATION = "retention"  # its transaction is the day, as an ordinal, from before which rows have gone
EXPIRED = "expired"  # among a commit's counts: rows that went because they were kept for long enough


def part_expiries(lake: Lake, table: Table, changes: ChangeRange) -> tuple[ChangeRange, bool]:
    """Return the changes that a batch is to consist of, and whether they are expiries.

    A table that outlives its input gets the range without them. Any other gets the first stretch of it that is
    expiries only or holds none, so that its own commit can say which it is.
    """
    source = table.source
    from_snapshot = changes.after == NEVER and lake.read_commit(source.name, 0) is None
    if not isinstance(source, Table) or from_snapshot:
        return changes, False
    versions = dict.fromkeys(file.version for file in changes.files)
    expiries = {version for version in versions if is_expiry(lake.read_commit(source.name, version) or ())}
    if not expiries:
        return changes, False
    if _outlives_its_input(table):
        return replace(changes, files=tuple(file for file in changes.files if file.version not in expiries)), False
    first = changes.files[0].version in expiries
    files = tuple(takewhile(lambda file: (file.version in expiries) is first, changes.files))
    rest = changes.files[len(files) :]
    return ChangeRange(changes.after, rest[0].version - 1 if rest else changes.upto, files), first


def still_kept(table: Table, handle: DeltaTable) -> tuple[Expectation, ...]:
    """Return what rows of a table must satisfy beside what it declares: that their like has not expired already.

    A receipt that is sent again after its time would otherwise count twice in the sums that outlived it.
    """
    day = handle.transaction_version(APPLICATION)
    if table.retention is None or day is None:
        return ()
    before = date.fromordinal(day)
    return (
        Expectation(
            "still_kept",
            pl.col(table.retention.column).cast(pl.Date) >= before,
            Action.QUARANTINE,
            f"Rows from before {before} have expired.",
        ),
    )


def is_expiry(actions: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a commit took rows away because they were kept for long enough."""
    lineage = next((action["commitInfo"].get("lineage") for action in actions if "commitInfo" in action), None)
    return lineage is not None and json.loads(lineage).get("counts", {}).get(EXPIRED, 0) > 0


def _outlives_its_input(table: Table) -> bool:
    return table.kind is Kind.LATEST or (table.kind is Kind.FOLDED and table.personal is Personal.NONE)
