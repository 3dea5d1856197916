"""The work of one Ray task: a slice of a batch, read from files, transformed, and written to files again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import polars as pl
import pyarrow as pa

from data_jobs.catalogue import find_table
from data_jobs.changes import AFTER, CHANGE, ChangeFile, net_changes, read_changes
from data_jobs.declaration import ROW, Kind, Table, polars_schema
from data_jobs.expectations import EXPECTATION, REASON, judge
from data_jobs.parts import GONE, Part, write_part
from receipts.lake import Lake

_SEED = 11  # slices must not fall together with the hash partitions of joins within them
REFUSED_AT_THE_GATE = "gateway"
RESULT = pa.schema([pa.field("result", pa.string())])


@dataclass(frozen=True, slots=True)
class Plan:
    """What every task of a batch needs to know; rows travel in files, only small lookups travel along."""

    table: str
    lake: Lake
    changes: tuple[ChangeFile, ...]
    slices: int
    lookups: Mapping[str, pl.DataFrame]
    snapshots: Mapping[str, tuple[str, ...]]  # files of the inputs that are read for the keys that changed
    existing: pl.DataFrame  # files of the table itself: uri, and lowest and highest of its `clustered_by` column


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a slice, or a whole batch, came to."""

    parts: tuple[Part, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)  # rows by the expectation they broke

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.parts + other.parts, self.counts + other.counts, self.caught + other.caught)

    def to_json(self) -> str:
        """Return what travels back to the driver: some hundred bytes."""
        parts = [asdict(part) for part in self.parts]
        return json.dumps({"parts": parts, "counts": self.counts, "caught": self.caught})

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read what a task sent back."""
        raw = json.loads(text)
        parts = tuple(Part(**part) for part in raw["parts"])
        return cls(parts, Counter(raw["counts"]), Counter(raw["caught"]))


def refine_block(block: pa.Table, plan: Plan) -> pa.Table:
    """Refine the slices whose numbers are in the block; what Ray Data calls in its tasks."""
    results = [refine_slice(plan, number).to_json() for number in block["item"].to_pylist()]
    return pa.table({"result": results}, schema=RESULT)


def refine_slice(plan: Plan, number: int) -> Outcome:
    """Refine one slice of a batch and return the files written."""
    table = find_table(plan.table)
    work = {Kind.LATEST: _latest, Kind.DERIVED: _derived, Kind.REBUILT: _rebuilt}[table.kind]
    return work(plan, table, _in_slice(table, plan.slices, number))


def _in_slice(table: Table, slices: int, number: int) -> pl.Expr | None:
    return pl.col(table.slice_by).hash(_SEED) % slices == number if slices > 1 else None


def _read(plan: Plan, table: Table, where: pl.Expr | None) -> pl.DataFrame:
    columns = table.reads(table.inputs[0].name)
    return read_changes(plan.changes, plan.lake.storage_options, columns, where)


def _transform(table: Table, rows: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    assert table.transform is not None, f"{table.name} has no transform"
    return table.transform(rows, read)


def _latest(plan: Plan, table: Table, where: pl.Expr | None) -> Outcome:
    """Keep the last version of each key; refused rows go to the quarantine."""
    rows = _read(plan, table, where).filter(pl.col(CHANGE).is_in(AFTER)).with_row_index(ROW)
    at_the_gate = pl.col("refusal").is_not_null() if "refusal" in rows.columns else pl.lit(value=False)
    gate = rows.filter(at_the_gate)
    accepted, refused, caught = judge(_transform(table, rows.filter(~at_the_gate), plan.lookups), table.expectations)
    newest = accepted.sort(*table.sequence).unique(list(table.key), keep="last", maintain_order=True)
    known = _known_keys(plan, table, newest)
    parts = [write_part(plan.lake, table, newest)] if newest.height else []
    quarantined = gate.height + refused.height
    if table.quarantine is not None and quarantined:
        parts.append(write_part(plan.lake, table.quarantine, _quarantine_rows(table, rows, gate, refused)))
    counts = Counter(
        rows_in=rows.height, rows_out=newest.height, quarantined=quarantined,
        repeated=accepted.height - newest.height, known=known.height,
    )  # fmt: skip
    return Outcome(tuple(parts), counts, Counter({**caught, REFUSED_AT_THE_GATE: gate.height}))


def _quarantine_rows(table: Table, rows: pl.DataFrame, gate: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
    """Return the envelopes of refused rows with the expectation they broke and the reason in words."""
    by_gateway = gate.with_columns(pl.lit(REFUSED_AT_THE_GATE).alias(EXPECTATION), pl.col("refusal").alias(REASON))
    by_table = rows.join(refused, on=ROW, how="inner")
    both = pl.concat([by_gateway, by_table], how="diagonal_relaxed")
    return both.with_columns(bronze_table=pl.lit(table.inputs[0].name))


def _derived(plan: Plan, table: Table, where: pl.Expr | None) -> Outcome:
    """Replace the rows that changed input rows gave before by what they give now."""
    source = table.inputs[0]
    assert isinstance(source, Table), f"{table.name} derives from a table without a key"
    changes = _read(plan, table, where)
    before, after = net_changes(changes, source.key)
    now = _transform(table, after, plan.lookups)
    earlier = (
        _transform(table, before, plan.lookups).select(table.key) if before.height else now.select(table.key).clear()
    )
    gone = earlier.join(now, on=list(table.key), how="anti")
    counts = Counter(rows_in=changes.height, rows_out=now.height, gone=gone.height, known=earlier.height)
    return Outcome(_rows_and_gone(plan, table, now, gone), counts)


def _rebuilt(plan: Plan, table: Table, where: pl.Expr | None) -> Outcome:
    """Compute the rows of every key that changed anew, from all input rows of these keys."""
    key = list(table.key)
    changes = _read(plan, table, where).select(key).drop_nulls()
    keys = changes.unique()
    frames = {name: _rows_of(plan, table, name, keys) for name in plan.snapshots}
    driving = frames.pop(table.inputs[0].name)
    now = _transform(table, driving, {**plan.lookups, **frames})
    known = _known_keys(plan, table, keys)
    gone = known.join(now, on=key, how="anti")
    counts = Counter(rows_in=changes.height, rows_out=now.height, gone=gone.height, known=known.height)
    return Outcome(_rows_and_gone(plan, table, now, gone), counts)


def _rows_of(plan: Plan, table: Table, name: str, keys: pl.DataFrame) -> pl.DataFrame:
    """Read one input's rows of some keys; what is scanned is the key column of all files, in the declared columns."""
    columns = table.reads(name)
    if not plan.snapshots[name]:
        schema = polars_schema(next(source for source in table.inputs if source.name == name).schema)
        return pl.DataFrame(schema={column: schema[column] for column in columns or schema.names()})
    rows = _scan(plan, plan.snapshots[name]).select(columns or pl.all())
    return rows.join(keys.lazy(), on=list(table.key), how="semi").collect(engine="in-memory")


def _rows_and_gone(plan: Plan, table: Table, now: pl.DataFrame, gone: pl.DataFrame) -> tuple[Part, ...]:
    parts = [write_part(plan.lake, table, now)] if now.height else []
    return (*parts, write_part(plan.lake, table, gone, GONE)) if gone.height else tuple(parts)


def _known_keys(plan: Plan, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Return those keys of the rows that the table holds, reading the key columns of files that may hold them."""
    key, column, files = list(table.key), table.clustered_by, plan.existing
    if column is not None and rows.height:
        apart = (pl.col("highest") < rows[column].min()) | (pl.col("lowest") > rows[column].max())
        files = files.filter(~apart.fill_null(value=False))
    if files.is_empty() or rows.is_empty():
        return rows.select(key).clear()
    held = _scan(plan, tuple(files["uri"])).select(key)
    return held.join(rows.lazy().select(key), on=key, how="semi").collect(engine="in-memory")


def _scan(plan: Plan, uris: tuple[str, ...]) -> pl.LazyFrame:
    options = dict(plan.lake.storage_options)
    return pl.scan_parquet(list(uris), storage_options=options, hive_partitioning=False)
