"""What the simulated reps ask for: receipts that exist, sampled before the run and kept in a file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import psycopg
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, ValidationError

from configs.settings import Settings
from receipts.database import DatabaseRole, conninfo
from receipts.errors import NotFound, ReceiptsError
from receipts.sql import load_sql

_SQL = load_sql("loadtest", "targets")
_ENOUGH = 50  # with fewer rows than that many times the sample the whole table is read
_SPARE = 4  # blocks are drawn, not rows: draw more, so that chance does not leave too few


class Target(BaseModel):
    """One receipt as a shopper might describe it. No name or contact is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    receipt_id: str
    region_id: int
    customer_id: str | None
    purchased_on: date
    total_cents: int
    store_name: str
    item: str


class Targets(BaseModel):
    """The sample, in no particular order: the position of a target decides how popular it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[Target, ...]

    def within(self, region_ids: frozenset[int] | None) -> tuple[Target, ...]:
        """Return the targets a person may see; None stands for all regions."""
        return tuple(t for t in self.targets if region_ids is None or t.region_id in region_ids)


def sample_targets(settings: Settings, count: int, seed: int = 1) -> Targets:
    """Return up to `count` receipts from all over the database.

    Reads a few times as many rows as it returns, whatever the size of the table. The same seed on the same data
    gives the same sample. Raises NotFound while there are no receipts.
    """
    login = conninfo(settings, DatabaseRole.PIPELINE, {"connect_timeout": 5})
    with psycopg.connect(login) as connection, connection.cursor(row_factory=class_row(Target)) as cursor:
        (rows,) = connection.execute(_SQL["find_size"]).fetchone() or (0,)
        share = 1.0 if rows < _ENOUGH * count else _SPARE * count / rows
        found = cursor.execute(_SQL["list_sample"], {"percent": 100 * share, "seed": seed, "count": count}).fetchall()
    if not found:
        raise NotFound("There are no receipts to load-test with; stream some in first: `receipts demo`.")
    return Targets(targets=tuple(found))


def write_targets(targets: Targets, path: Path) -> None:
    """Keep a sample in a file, for the workers of a distributed run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(targets.model_dump_json())


def read_targets(path: Path) -> Targets:
    """Read a sample back. Raises ReceiptsError with one sentence when the file is none."""
    try:
        return Targets.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ReceiptsError(f"{path} holds no targets; write them with `receipts load --prepare {path}`.") from None
