"""Rows held against what their table expects of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from data_jobs.declaration import ROW, Action, Expectation
from receipts.errors import ReceiptsError

EXPECTATION, REASON = "expectation", "reason"


class ExpectationFailed(ReceiptsError):
    """A row breaks an expectation that must hold for the whole batch; nothing of the batch was committed."""


def find_failure(expectations: Sequence[Expectation], caught: Mapping[str, int]) -> str | None:
    """Say which expectation stops a batch and how many rows of all its slices break it; none when it may go on."""
    for expectation in expectations:
        if expectation.action is Action.FAIL and caught.get(expectation.name):
            rows = caught[expectation.name]
            return f"{rows} {'row breaks' if rows == 1 else 'rows break'} {expectation.name}: {expectation.sentence}"
    return None


def judge(
    frame: pl.DataFrame, expectations: Sequence[Expectation]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Split rows into accepted ones and refused ones, and count what each expectation caught.

    Refused rows carry their `_row` with the name and the sentence of the expectation they broke first, under which
    they are counted; rows to drop are in neither frame. The other actions count every row that is not refused, each
    expectation by itself. Whether a batch must stop is for `find_failure` to say, of the counts of all slices.
    """
    if not expectations:
        return frame, frame.clear(), {}
    judged = frame.with_columns(_first_broken(expectations, Action.QUARANTINE), *_broken(expectations))
    refused = judged.filter(pl.col(EXPECTATION).is_not_null())
    held = judged.filter(pl.col(EXPECTATION).is_null())
    caught = dict(refused[EXPECTATION].value_counts().iter_rows())
    for expectation in expectations:
        if expectation.action is not Action.QUARANTINE:
            caught[expectation.name] = int(held[_mark(expectation)].sum())
    dropped = [pl.col(_mark(e)) for e in expectations if e.action is Action.DROP]
    accepted = held.filter(~pl.any_horizontal(pl.lit(value=False), *dropped)).select(frame.columns)
    sentences = {expectation.name: expectation.sentence for expectation in expectations}
    reason = pl.col(EXPECTATION).replace_strict(sentences, return_dtype=pl.String).alias(REASON)
    number = pl.col(ROW) if ROW in frame.columns else pl.lit(None, dtype=pl.UInt32).alias(ROW)
    return accepted, refused.select(number, EXPECTATION, reason), caught


def _first_broken(expectations: Sequence[Expectation], action: Action) -> pl.Expr:
    named = [pl.when(_breaks(e)).then(pl.lit(e.name)) for e in expectations if e.action is action]
    return pl.coalesce(*named, pl.lit(None, dtype=pl.String)).alias(EXPECTATION)


def _broken(expectations: Sequence[Expectation]) -> list[pl.Expr]:
    return [_breaks(e).alias(_mark(e)) for e in expectations if e.action is not Action.QUARANTINE]


def _breaks(expectation: Expectation) -> pl.Expr:
    return ~expectation.holds.fill_null(value=False)


def _mark(expectation: Expectation) -> str:
    return f"_breaks_{expectation.name}"
