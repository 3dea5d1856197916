"""How far each table of the lake has come and what follows it: asked often, so nothing is opened that did not move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from receipts.lake import Lake

_NEVER = -1  # the version before a table's first


class LakeWatch:
    """Looks at a lake again and again, and remembers between two looks what a version says for good."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._versions: dict[str, int] = {}
        self._read: dict[str, tuple[int, int]] = {}  # by table: its version, and what it has then read of its source

    def versions(self) -> dict[str, int | None]:
        """Return the newest version of every table; null for one that has not been created."""
        from data_jobs.catalogue import TABLES as REFINED  # noqa: PLC0415  needed here only and slow to import
        from receipts.bronze import TABLES as BRONZE  # noqa: PLC0415  as above

        return {table.name: self.version(table.name) for table in (*BRONZE, *REFINED)}

    def version(self, name: str) -> int | None:
        """Return the newest version of a table; null when it has not been created."""
        known = self._versions.get(name, _NEVER)
        if known == _NEVER and not self.lake.exists(name):
            return None
        self._versions[name] = self.lake.newest_version(name, known)
        return self._versions[name]

    def refinement(self, versions: Mapping[str, int | None]) -> dict[str, dict[str, Any]]:
        """Return how far each refined table has read the table that drives it."""
        from data_jobs.catalogue import TABLES as REFINED  # noqa: PLC0415  needed here only and slow to import

        told: dict[str, dict[str, Any]] = {}
        for table in REFINED:
            source = table.input.name if table.input is not None else None
            own = versions[table.name]
            if source is None or own is None or versions[source] is None:
                continue
            told[table.name] = {"source": source, **self._lag(source, self._cursor(table.name, own, table.cursor))}
        return told

    def sync(self, watermarks: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return how far Postgres has followed each served table."""
        return {
            mark["table_name"]: {
                "synced_at": mark["synced_at"].astimezone(UTC).isoformat(),
                **self._lag(mark["table_name"], mark["version"]),
            }
            for mark in watermarks
        }

    def _cursor(self, name: str, version: int, application: str) -> int:
        at, read = self._read.get(name, (_NEVER, _NEVER))
        if at != version:
            told = self.lake.open(name).transaction_version(application)
            read = _NEVER if told is None else told
            self._read[name] = version, read
        return read

    def _lag(self, name: str, read: int) -> dict[str, Any]:
        """Compare a version read with the latest; `lag_s` is the age of the oldest commit that was not read yet."""
        latest = self.version(name)
        version = read if latest is None else latest
        behind = max(version - read, 0)
        lag_s = 0.0
        if behind:
            oldest = min(int(commit["timestamp"]) for commit in self.lake.open(name).history(behind))
            lag_s = max(datetime.now(UTC).timestamp() - oldest / 1000, 0.0)
        return {"version": read, "latest": version, "behind": behind, "lag_s": round(lag_s, 3)}
