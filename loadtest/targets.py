"""What the simulated reps ask for: receipts that exist, sampled before the run and kept in a file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, ValidationError

from configs.settings import Settings
from receipts.database import DatabaseRole, conninfo
from receipts.errors import NotFound, ReceiptsError
from receipts.identity import natural_key
from receipts.sql import load_sql

_SQL = load_sql("loadtest", "targets")
_REGISTERS, _SEQUENCES = 10, 10_000  # where in a store's day a point falls; a miss takes the next receipt


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
    """Return up to `count` receipts spread over all days and stores of the database.

    The same seed on the same data gives the same sample. Raises NotFound while there are no receipts.
    """
    source = random.Random(seed)  # noqa: S311  a sample, not a secret
    login = conninfo(settings, DatabaseRole.PIPELINE, {"connect_timeout": 5})
    with psycopg.connect(login) as connection, connection.cursor(row_factory=class_row(Target)) as cursor:
        first, last = connection.execute(_SQL["find_range"]).fetchone() or (None, None)
        if first is None or last is None:
            raise NotFound("There are no receipts to load-test with; stream some in first: `receipts demo`.")
        stores = [store_id for (store_id,) in connection.execute(_SQL["list_store_ids"])]
        points = _points(source, natural_key(first).business_date, natural_key(last).business_date, stores, count)
        found = cursor.execute(_SQL["list_receipts_after"], {"points": points}).fetchall()
    source.shuffle(found)
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


def _points(source: random.Random, first: date, last: date, stores: Sequence[int], count: int) -> list[str]:
    """Return random places in the id space: YYMMDD, store, register, sequence."""
    days = (last - first).days
    return [
        f"{first + timedelta(days=source.randint(0, days)):%y%m%d}"
        f"{source.choice(stores):05d}{source.randrange(_REGISTERS):03d}{source.randrange(_SEQUENCES):06d}"
        for _ in range(count)
    ]
