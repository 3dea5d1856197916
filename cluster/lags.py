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
        self._without_rows: dict[str, tuple[int, int]] = {}  # by table: first and last of versions that have none
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
        """Compare a version read with the latest; `lag_s` is the age of the oldest commit that was not read yet.

        A commit without rows, as of a day without returns, is nothing that anybody is behind.
        """
        latest = self.version(name)
        version = read if latest is None else latest
        first = self._first_with_rows(name, read + 1, version)
        if first is None:
            return {"version": read, "latest": version, "behind": 0, "lag_s": 0.0}
        committed = self._committed_ms(name, first, version)
        lag_s = max(datetime.now(UTC).timestamp() - committed / 1000, 0.0)
        return {"version": read, "latest": version, "behind": version - first + 1, "lag_s": round(lag_s, 3)}

    def _first_with_rows(self, name: str, start: int, end: int) -> int | None:
        """Return the first of some versions that brought or took rows; none when all of them did neither."""
        low, high = self._without_rows.get(name, (start, start - 1))
        at = high + 1 if low <= start <= high + 1 else start
        for version in range(at, end + 1):
            if _has_rows(self.lake.read_commit(name, version)):
                self._without_rows[name] = (start, version - 1)
                return version
        self._without_rows[name] = (start, end)
        return None

    def _committed_ms(self, name: str, first: int, latest: int) -> int:
        for action in self.lake.read_commit(name, first) or ():
            if "commitInfo" in action:
                return int(action["commitInfo"]["timestamp"])
        history = self.lake.open(name).history(latest - first + 1)  # the log of that version was cleaned up
        return min(int(commit["timestamp"]) for commit in history)


def _has_rows(commit: Sequence[Mapping[str, Any]] | None) -> bool:
    """Say whether a commit brought or took rows; one whose log is gone may have."""
    if commit is None:
        return True
    files = (action.get("add") or action.get("remove") for action in commit)
    return any("cdc" in action for action in commit) or any(one and one.get("dataChange", True) for one in files)
