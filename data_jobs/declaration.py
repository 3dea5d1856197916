"""What a refined table says about itself, in one place; runners only do what is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl
import pyarrow as pa

from receipts.lake import LakeTable

# Takes rows of the driving input and, by table name, whatever else the table reads; returns rows of the table.
# Pure: the same frames give the same rows, on whatever machine and at whatever time.
Transform = Callable[[pl.DataFrame, Mapping[str, pl.DataFrame]], pl.DataFrame]

ROW = "_row"  # numbers the rows a transform was given; it must hand the number on, so that a refused row is found again


class Action(StrEnum):
    """What happens to a row that breaks an expectation."""

    WARN = "warn"  # it stays and is counted
    DROP = "drop"  # it goes and is counted
    QUARANTINE = "quarantine"  # it goes to the quarantine table with the reason
    FAIL = "fail"  # the batch stops before anything is committed


class Kind(StrEnum):
    """How a table follows its driving input."""

    LATEST = "latest"  # one row per key: of all versions ever seen, the one last by `sequence`
    DERIVED = "derived"  # each input row gives its own rows; they are replaced or go when it is
    REBUILT = "rebuilt"  # the rows of each key that changed are computed anew from all input rows of that key
    FILLED = "filled"  # another table's refusals or a job of its own writes it


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """Something every row should satisfy. `holds` answers true for a good row; null counts as broken."""

    name: str
    holds: pl.Expr
    action: Action
    sentence: str  # why a row was refused, as the quarantine tells it


@dataclass(frozen=True, slots=True)
class Served:
    """The Postgres relation a table is synced to; the SQL blocks are named after the relation.

    `columns` gives what the statements take, one text-like or scalar value per row.
    With `confirmed`, rows that Postgres holds already are only confirmed, by the columns named here.
    """

    relation: str
    columns: Mapping[str, pl.Expr]
    confirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A refined Delta table. The first of `inputs` drives it: its changes are what a batch consists of.

    Further inputs are read for the keys that changed (`Kind.REBUILT`); `lookups` are small and read whole.
    `sequence` orders the versions of a row (`Kind.LATEST`). `slice_by` is the column of the driving input that
    brings together what must be seen together. `clustered_by` is a column that follows from the key and has
    statistics: it limits which files are read to find a key. No column in `statistics` may be personal.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    kind: Kind
    schema: pa.Schema
    inputs: tuple[Table | LakeTable, ...] = ()
    lookups: tuple[Table, ...] = ()
    columns: Mapping[str, tuple[str, ...]] | None = None  # read of each input; all where it is not named
    transform: Transform | None = None
    expectations: tuple[Expectation, ...] = ()
    quarantine: Table | None = None
    sequence: tuple[str, ...] = ()
    slice_by: str = ""
    clustered_by: str | None = None
    statistics: tuple[str, ...] = ()
    served_as: Served | None = None

    @property
    def lake_table(self) -> LakeTable:
        """Return the Delta table beneath."""
        return LakeTable(self.name, self.schema, self.statistics)

    @property
    def cursor(self) -> str:
        """Return the application id under which commits record how far the driving input was read."""
        return f"{self.name} from {self.inputs[0].name}"

    def reads(self, name: str) -> list[str] | None:
        """Return the columns taken from an input, or none for all of them."""
        chosen = (self.columns or {}).get(name)
        return list(chosen) if chosen else None


def polars_schema(schema: pa.Schema) -> pl.Schema:
    """Return the polars types of an Arrow schema."""
    frame = pl.from_arrow(schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.schema
