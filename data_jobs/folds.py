"""Sums that follow their input: what came is added, what went is taken out or summed up anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from data_jobs.changes import net_changes
from data_jobs.declaration import SIGN, Fold, Table, polars_schema
from data_jobs.plans import Plan, read_own, read_snapshot
from receipts.errors import ReceiptsError

ROWS = "rows"  # how many input rows a sum is made of; with none it is gone
_IMAGE = "_image"


class SumBelowNothing(ReceiptsError):
    """A sum lost more rows than it ever had."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The rows of all keys that changed as they are `now`, the keys the table `held` of them, those `gone` from it."""

    now: pl.DataFrame
    held: pl.DataFrame
    gone: pl.DataFrame


def fold(plan: Plan, table: Table, changes: pl.DataFrame) -> Folded:
    """Bring what changed in the input into the rows of its keys."""
    assert table.fold is not None, f"{table.name} has no fold"
    assert isinstance(table.source, Table), f"{table.name} sums up a table without a key"
    key, came, went = list(table.key), *moved(changes, table.source.key)
    delta, whole, lost = (_signed if table.fold.invertible else _anew)(plan, table, table.fold, came, went)
    keys = pl.concat([delta.select(table.places), lost]).unique()
    held = read_own(plan, table, keys, delta.columns)
    summed = table.fold.combine(pl.concat([held.join(lost, on=key, how="anti"), delta]))
    now = table.fold.finish(pl.concat([summed, whole.select(summed.columns)]), plan.lookups)
    known = held.select(table.places)
    return Folded(now, known, known.join(now, on=key, how="anti"))


def moved(changes: pl.DataFrame, key: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that came and the rows that went; a row that is the same in all columns read did neither."""
    before, after = net_changes(changes, key)
    if before.is_empty() or after.is_empty():
        return after, before
    on = [*key, _IMAGE]
    before, after = (rows.with_columns(pl.struct(pl.all()).hash().alias(_IMAGE)) for rows in (before, after))
    came, went = after.join(before, on=on, how="anti"), before.join(after, on=on, how="anti")
    return came.drop(_IMAGE), went.drop(_IMAGE)


def additive(keys: Mapping[str, pl.Expr], measures: Mapping[str, pl.Expr], where: pl.Expr | None = None) -> Fold:
    """Return the fold of a table of sums: by `keys`, of `measures` of input rows, all integers.

    Beside the measures a row has `rows`, how many input rows it is made of.
    """
    sign = pl.col(SIGN)
    sums = [sign.sum().alias(ROWS), *((measure * sign).sum().alias(name) for name, measure in measures.items())]

    def summarise(rows: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        chosen = rows if where is None else rows.filter(where)
        return chosen.group_by(expression.alias(name) for name, expression in keys.items()).agg(*sums)

    def combine(states: pl.DataFrame) -> pl.DataFrame:
        return states.group_by(*keys).agg(pl.col(ROWS, *measures).sum())

    def finish(states: pl.DataFrame, _: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        return present(states)

    return Fold(summarise, combine, finish, invertible=True)


def present(states: pl.DataFrame) -> pl.DataFrame:
    """Return the states that input rows are left of. Raises SumBelowNothing."""
    if (states[ROWS] < 0).any():
        raise SumBelowNothing(f"{SumBelowNothing.__doc__} The first: {states.filter(pl.col(ROWS) < 0).row(0)}.")
    return states.filter(pl.col(ROWS) > 0)


_Sums = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]  # what is added, what stands for itself, keys it stands for


def _signed(plan: Plan, table: Table, fold: Fold, came: pl.DataFrame, went: pl.DataFrame) -> _Sums:
    rows = pl.concat([frame.with_columns(pl.lit(sign).alias(SIGN)) for frame, sign in ((came, 1), (went, -1))])
    delta = _summarised(plan, table, fold, rows)
    return delta, delta.clear(), delta.select(table.places).clear()


def _anew(plan: Plan, table: Table, fold: Fold, came: pl.DataFrame, went: pl.DataFrame) -> _Sums:
    """Sum up anew the keys that lost a row: a highest or a last one cannot be taken out of a sum."""
    key = list(table.key)
    delta, lost = (_summarised(plan, table, fold, rows) for rows in (came, went))
    lost = lost.select(table.places)
    rows = read_snapshot(plan, table, lost[key[0]])
    whole = _summarised(plan, table, fold, rows).join(lost, on=key, how="semi")
    return delta.join(lost, on=key, how="anti"), whole, lost


def _summarised(plan: Plan, table: Table, fold: Fold, rows: pl.DataFrame) -> pl.DataFrame:
    """Return states in the types the table keeps them in, so that they go together with those it holds."""
    schema = polars_schema(table.schema)
    states = fold.summarise(rows, plan.lookups).drop_nulls(list(table.key))
    return states.select(pl.col(name).cast(schema[name]) for name in states.columns)
