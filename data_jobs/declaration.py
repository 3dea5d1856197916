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

# Takes states of a fold, several of one key among them, and returns one of each key.
Combine = Callable[[pl.DataFrame], pl.DataFrame]

ROW = "_row"  # numbers the rows a transform was given; it must hand the number on, so that a refused row is found again
SIGN = "_sign"  # of a row that a fold is shown: +1 for one that came, -1 for one that went


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
    FOLDED = "folded"  # each row sums up the input rows of its key; what is new is added to what was summed up before
    FILLED = "filled"  # another table's refusals or a job of its own writes it


class Personal(StrEnum):
    """What a table's rows tell of a person."""

    NONE = "none"
    PSEUDONYMOUS = "pseudonymous"  # what somebody bought, under a customer's number
    CONTACT = "contact"  # who somebody is: names, addresses, what was typed into a refused record


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept: until so many days after the day or instant in `column`."""

    column: str
    days: int


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """Something every row should satisfy. `holds` answers true for a good row; null counts as broken."""

    name: str
    holds: pl.Expr
    action: Action
    sentence: str  # why a row was refused, as the quarantine tells it


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """How the rows of a key are summed up, so that a batch costs what changed and not what was there before.

    `summarise` returns one state for each key of the rows it is shown, and `combine` one for each key of the states
    it is shown; summing up at once or part by part must come to the same (a commutative monoid). `finish` turns
    states into rows of the table, of which the state's columns stay columns; a key whose state it leaves out is gone.
    Where the fold is `invertible`, rows that went are shown too, with `_sign` -1 (a group). Where it is not, keys that
    lost a row are summed up anew from all their rows.
    """

    summarise: Transform
    combine: Combine
    finish: Transform
    invertible: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """How rows of the input refer to each other, for a table whose rows are made of both.

    Rows of the input for which `refers` holds are about the row whose key `about` gives, or about themselves. All that
    is about one row is made anew when it, or any of that, changes. `day` tells from a key of the input the value of the
    input's `clustered_by`: it limits which files are read, and its month parts the table's own.
    """

    refers: pl.Expr
    about: pl.Expr
    day: Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True, slots=True)
class Served:
    """The Postgres relation a table is synced to; the SQL blocks are named after the relation.

    `columns` gives what the statements take, one text-like or scalar value per row. Tables that share a relation bring
    their own name along in a column, and the statements that look at all rows of one are given it.
    With `confirmed`, rows that Postgres holds already are only confirmed, by the columns named here.
    """

    relation: str
    columns: Mapping[str, pl.Expr]
    confirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A refined Delta table. Changes of its input are what a batch consists of; `lookups` are small and read whole.

    `transform` makes its rows (`Kind.LATEST`, `Kind.DERIVED`), or `fold` does (`Kind.FOLDED`). With a `link`,
    `transform` is shown the rows that refer, and those with what they are about by the input's own name; the table's
    key is the key of what a row is about, then the row's. `sequence` orders the
    versions of a row (`Kind.LATEST`). `slice_by` is the column of the input that brings together what must be seen
    together; without one, a batch is one slice. `clustered_by` is a column that follows from the key and has
    statistics: it limits which files are read to find a key. `partitioned_by` is a date that follows from the key and
    parts the files themselves, where old rows would otherwise be rewritten with new ones again and again. No column
    in `statistics` may be personal.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    kind: Kind
    schema: pa.Schema
    input: Table | LakeTable | None = None
    lookups: tuple[Table, ...] = ()
    columns: tuple[str, ...] = ()  # read of the input; all of them where none is named
    transform: Transform | None = None
    fold: Fold | None = None
    link: Link | None = None  # of `Kind.DERIVED`
    expectations: tuple[Expectation, ...] = ()
    quarantine: Table | None = None
    sequence: tuple[str, ...] = ()
    slice_by: str = ""
    clustered_by: str | None = None
    partitioned_by: str | None = None
    statistics: tuple[str, ...] = ()
    personal: Personal = Personal.NONE
    retention: Retention | None = None  # none: as long as what it follows
    served_as: Served | None = None
    append_only: bool = False  # Delta refuses to change or delete its rows; whole files are compacted, and expire

    @property
    def lake_table(self) -> LakeTable:
        """Return the Delta table beneath."""
        configuration = {"delta.appendOnly": "true"} if self.append_only else {}
        return LakeTable(self.name, self.schema, self.statistics, self.partitions, configuration)

    @property
    def partitions(self) -> tuple[str, ...]:
        """Return the column the files are parted by, if there is one."""
        return () if self.partitioned_by is None else (self.partitioned_by,)

    @property
    def places(self) -> list[str]:
        """Return the columns by which a row is found: the key, and the partition it is in."""
        return [*self.key, *(name for name in self.partitions if name not in self.key)]

    @property
    def cursor(self) -> str:
        """Return the application id under which commits record how far the driving input was read."""
        return f"{self.name} from {self.source.name}"

    @property
    def source(self) -> Table | LakeTable:
        """Return the input, which every table has that a runner refines."""
        assert self.input is not None, f"{self.name} follows no table"
        return self.input


def polars_schema(schema: pa.Schema) -> pl.Schema:
    """Return the polars types of an Arrow schema."""
    frame = pl.from_arrow(schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.schema
