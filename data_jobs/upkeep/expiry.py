"""How rows that are kept for long enough go without taking with them what they added up to.

A commit of retention says so in its lineage, and so does every commit that follows from it. Rows derived from expired
ones go too, and so does what is personal. Sums that tell nothing of a person pass over such commits: what a store took
seven years ago stays what it took.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from data_jobs.changes import NEVER, ChangeRange
from data_jobs.declaration import Kind, Personal, Table
from receipts.lake import Lake

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


def is_expiry(actions: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a commit took rows away because they were kept for long enough."""
    lineage = next((action["commitInfo"].get("lineage") for action in actions if "commitInfo" in action), None)
    return lineage is not None and json.loads(lineage).get("counts", {}).get(EXPIRED, 0) > 0


def _outlives_its_input(table: Table) -> bool:
    return table.kind is Kind.LATEST or (table.kind is Kind.FOLDED and table.personal is Personal.NONE)
