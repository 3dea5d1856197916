"""One event as a value and as a row of the event table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from data_jobs.tables import events_pipeline

SCHEMA = events_pipeline.TABLE.schema
COUNTS = ("rows_in", "rows_out", "changed", "gone", "repeated", "quarantined", "judged")


@dataclass(frozen=True, slots=True)
class Input:
    """A table that a batch read: the versions that were new to it, or one version whole."""

    table: str
    from_version: int | None
    to_version: int


@dataclass(frozen=True, slots=True)
class Event:
    """What one batch did to one table. `version` is null where it failed, and `error` says why."""

    table: str
    run: str
    version: int | None
    committed_at: datetime
    inputs: tuple[Input, ...]
    counts: Mapping[str, int]
    caught: Mapping[str, int]
    files_in: int = 0
    files_out: int = 0
    bytes_out: int = 0
    took_ms: int | None = None
    lag_ms: int | None = None
    error: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Return a row of the event table."""
        row = asdict(self)
        counts = row.pop("counts")
        row["caught"] = [{"expectation": name, "rows": rows} for name, rows in sorted(self.caught.items())]
        return row | {name: counts.get(name, 0) for name in COUNTS}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Event:
        """Read a row of the event table."""
        values = {name: value for name, value in row.items() if name not in COUNTS}
        values["inputs"] = tuple(Input(**each) for each in row["inputs"])
        values["caught"] = {each["expectation"]: each["rows"] for each in row["caught"]}
        return cls(counts={name: row[name] for name in COUNTS}, **values)

    @classmethod
    def from_lineage(
        cls,
        table: str,
        told: Mapping[str, Any],
        at: datetime,
        version: int | None = None,
        **outcome: Any,  # noqa: ANN401  fields
    ) -> Event:
        """Read what a commit tells of its batch."""
        return cls(
            table=table,
            run=told["run"],
            version=version,
            committed_at=at,
            inputs=tuple(Input(each["table"], each["from"], each["to"]) for each in told["inputs"]),
            counts={name: told["counts"].get(name, 0) for name in COUNTS},
            caught={name: rows for name, rows in told["expectations"].items() if rows},
            files_in=told.get("files", 0),  # commits of earlier releases told less
            took_ms=told.get("took_ms"),
            lag_ms=told.get("lag_ms"),
            **outcome,
        )


def read_commit(table: str, version: int, actions: Sequence[Mapping[str, Any]]) -> Event | None:
    """Return the event of a commit's actions, or none where it is upkeep or the first part of a batch's commits."""
    information = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    if "lineage" not in information:
        return None
    told = json.loads(information["lineage"])
    if not told["counts"]:
        return None
    added = [action["add"] for action in actions if "add" in action]
    at = datetime.fromtimestamp(information["timestamp"] / 1000, UTC)
    return Event.from_lineage(
        table, told, at, version, files_out=len(added), bytes_out=sum(file["size"] for file in added)
    )


def to_arrow(events: Iterable[Event]) -> pa.Table:
    """Return events as rows of the event table."""
    return pa.Table.from_pylist([event.to_row() for event in events], schema=SCHEMA)
