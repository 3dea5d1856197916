"""The work of one Ray task: a slice of a batch, read from files, transformed, and written to files again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.catalogue import find_table
from data_jobs.changes import AFTER, CHANGE, net_changes
from data_jobs.declaration import ROW, Kind, Link, Table
from data_jobs.expectations import EXPECTATION, REASON, judge
from data_jobs.folds import fold
from data_jobs.links import gather
from data_jobs.parts import CHANGED, GONE, NEW, Part, write_parts
from data_jobs.plans import RESULT, Outcome, Plan, in_slice, read_own, read_slice

REFUSED_AT_THE_GATE = "gateway"


def refine_block(block: pa.Table, plan: Plan) -> pa.Table:
    """Refine the slices whose numbers are in the block; what Ray Data calls in its tasks."""
    results = [refine_slice(plan, number).to_json() for number in block["item"].to_pylist()]
    return pa.table({"result": results}, schema=RESULT)


def refine_slice(plan: Plan, number: int) -> Outcome:
    """Refine one slice of a batch and return the files written."""
    table = find_table(plan.table)
    rows = read_slice(plan, table, in_slice(table, plan.slices, number))
    if table.link is not None:
        return _linked(plan, table, table.link, rows)
    work = {Kind.LATEST: _latest, Kind.DERIVED: _derived, Kind.FOLDED: _folded}[table.kind]
    return work(plan, table, rows)


def _transform(table: Table, rows: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    assert table.transform is not None, f"{table.name} has no transform"
    return table.transform(rows, read)


def _latest(plan: Plan, table: Table, changes: pl.DataFrame) -> Outcome:
    """Keep the last version of each key; refused rows go to the quarantine."""
    rows = changes.filter(pl.col(CHANGE).is_in(AFTER)).with_row_index(ROW)
    at_the_gate = pl.col("refusal").is_not_null() if "refusal" in rows.columns else pl.lit(value=False)
    gate = rows.filter(at_the_gate)
    made = _transform(table, rows.filter(~at_the_gate), plan.lookups)
    accepted, refused, caught = judge(made, (*table.expectations, *plan.expectations))
    newest = accepted.sort(*table.sequence).unique(list(table.key), keep="last", maintain_order=True)
    known = read_own(plan, table, newest, table.places)
    parts, counts = _write(plan, table, newest, known, known.clear())
    quarantined = gate.height + refused.height
    if table.quarantine is not None and quarantined:
        parts += write_parts(plan.lake, table.quarantine, _quarantine_rows(table, rows, gate, refused))
    counts |= {"rows_in": rows.height, "quarantined": quarantined, "repeated": accepted.height - newest.height,
               "judged": made.height}  # fmt: skip
    return Outcome(tuple(parts), Counter(counts), Counter({**caught, REFUSED_AT_THE_GATE: gate.height}))


def _quarantine_rows(table: Table, rows: pl.DataFrame, gate: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
    """Return the envelopes of refused rows with the expectation they broke and the reason in words."""
    by_gateway = gate.with_columns(pl.lit(REFUSED_AT_THE_GATE).alias(EXPECTATION), pl.col("refusal").alias(REASON))
    by_table = rows.join(refused, on=ROW, how="inner")
    both = pl.concat([by_gateway, by_table], how="diagonal_relaxed")
    return both.with_columns(bronze_table=pl.lit(table.source.name))


def _derived(plan: Plan, table: Table, changes: pl.DataFrame) -> Outcome:
    """Replace the rows that changed input rows gave before by what they give now."""
    assert isinstance(table.source, Table), f"{table.name} derives from a table without a key"
    before, after = net_changes(changes, table.source.key)
    made, key = _transform(table, after, plan.lookups), list(table.key)
    now, _, caught = judge(made, table.expectations)
    places = table.places
    earlier = _transform(table, before, plan.lookups).select(places) if before.height else now.select(places).clear()
    gone = earlier.join(now, on=key, how="anti")
    parts, counts = _write(plan, table, now, earlier, gone)
    return Outcome(tuple(parts), Counter(counts | {"rows_in": changes.height, "judged": made.height}), Counter(caught))


def _linked(plan: Plan, table: Table, link: Link, changes: pl.DataFrame) -> Outcome:
    """Make all rows anew that are about something that changed."""
    found = gather(plan, table, link, changes)
    made = _transform(table, found.referring, {**plan.lookups, table.source.name: found.rows})
    now, _, caught = judge(made, table.expectations)
    gone = found.held.join(now, on=list(table.key), how="anti")
    parts, counts = _write(plan, table, now, found.held, gone)
    return Outcome(tuple(parts), Counter(counts | {"rows_in": changes.height, "judged": made.height}), Counter(caught))


def _folded(plan: Plan, table: Table, changes: pl.DataFrame) -> Outcome:
    """Add what changed to what was summed up before."""
    done = fold(plan, table, changes)
    _, _, caught = judge(done.now, table.expectations)  # none may drop a row: its sum would be lost
    parts, counts = _write(plan, table, done.now, done.held, done.gone)
    counts |= {"rows_in": changes.height, "judged": done.now.height}
    return Outcome(tuple(parts), Counter(counts), Counter(caught))


def _write(
    plan: Plan, table: Table, now: pl.DataFrame, known: pl.DataFrame, gone: pl.DataFrame
) -> tuple[list[Part], dict[str, int]]:
    """Write the rows that are new to the table apart from those it holds in another version."""
    key = list(table.key)
    changed = now.join(known, on=key, how="semi") if known.height else now.clear()
    new = now.join(known, on=key, how="anti") if known.height else now
    frames = ((new, NEW), (changed, CHANGED), (gone, GONE))
    parts = [part for frame, content in frames for part in write_parts(plan.lake, table, frame, content)]
    return parts, {"rows_out": now.height, "changed": changed.height, "gone": gone.height}
