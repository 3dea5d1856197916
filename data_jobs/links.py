"""Rows about other rows of the same input: found from either end, at the cost of what changed."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from data_jobs.declaration import Link, Table
from data_jobs.folds import moved
from data_jobs.plans import Plan, read_own, read_snapshot


@dataclass(frozen=True, slots=True)
class Gathered:
    """Input rows that are `referring` to something that changed, the same with what they are about as `rows`.

    `held` are the places of the rows that the table has of them.
    """

    referring: pl.DataFrame
    rows: pl.DataFrame
    held: pl.DataFrame


def gather(plan: Plan, table: Table, link: Link, changes: pl.DataFrame) -> Gathered:
    """Find all input rows that are about something that changed or did so themselves.

    The table itself tells who refers to a row: its key begins with what a row is about. So a row that nothing refers
    to costs a look into one month of the table, and no row of the input is read for it. What is found is read as of
    the last of the changes, whatever batches it came in.
    """
    assert isinstance(table.source, Table), f"{table.name} links rows of a table without a key"
    assert table.partitioned_by is not None, f"{table.name} is not parted by month"
    (key,), about = table.source.key, table.key[0]
    rows = pl.concat(moved(changes, table.source.key))
    referring = rows.filter(link.refers).select(pl.col(key), link.about.alias(about))
    touched = pl.concat([rows.select(pl.col(key).alias(about)), referring.select(about)]).unique()
    month = link.day(pl.col(about)).dt.truncate("1mo").alias(table.partitioned_by)
    held = read_own(plan, table, touched.with_columns(month), table.places)
    members = pl.concat([held[key], referring[key]]).unique()
    wanted = pl.concat([members, held[about].alias(key), referring[about].alias(key)]).unique()
    found = read_snapshot(plan, table, wanted, days=wanted.to_frame().select(link.day(pl.col(key))).to_series())
    return Gathered(found.filter(pl.col(key).is_in(members.implode())), found, held)
