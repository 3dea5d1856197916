"""The versions of a table that can still be read: where its log begins, and what stood in it at an instant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.fs as pf
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from data_jobs.changes import PARTITION, list_files
from receipts.errors import InvalidInput, NotFound
from receipts.lake import Lake

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_KEPT = "receipts.keptVersions"  # a property of the table, so that it travels with it


@dataclass(frozen=True, slots=True)
class Log:
    """The files of a table's log: versions with a commit file, and checkpoints with the names of theirs."""

    commits: frozenset[int]
    checkpoints: Mapping[int, tuple[str, ...]]

    @property
    def oldest(self) -> int:
        """Return the version from which on every one can be read."""
        first = max(self.commits)
        while first - 1 in self.commits:
            first -= 1
        return first if first == 0 else min(version for version in self.checkpoints if version >= first - 1)


def list_log(lake: Lake, name: str) -> Log:
    """Return what the log folder of a table holds."""
    commits: set[int] = set()
    checkpoints: dict[int, tuple[str, ...]] = {}
    for path in (found.path.rsplit("/", 1)[-1] for found in list_files_under(lake, name, "_delta_log")):
        if commit := _COMMIT.fullmatch(path):
            commits.add(int(commit[1]))
        elif checkpoint := _CHECKPOINT.fullmatch(path):
            version = int(checkpoint[1])
            checkpoints[version] = (*checkpoints.get(version, ()), path)
    return Log(frozenset(commits), checkpoints)


def list_files_under(lake: Lake, name: str, folder: str = "") -> list[pf.FileInfo]:
    """Return all files below a folder of a table; their paths begin at the table."""
    store = pf.PyFileSystem(DeltaStorageHandler(lake.uri(name), dict(lake.storage_options)))
    found = store.get_file_info(pf.FileSelector(folder, recursive=True, allow_not_found=True))
    return [each for each in found if each.is_file]


def committed_at(lake: Lake, name: str, version: int) -> datetime | None:
    """Return when a version was committed, or none when its commit file is gone."""
    for action in lake.read_commit(name, version) or ():
        if "commitInfo" in action:
            return datetime.fromtimestamp(action["commitInfo"]["timestamp"] / 1000, UTC)
    return None


def version_at(lake: Lake, name: str, instant: datetime) -> int | None:
    """Return the last version committed at or before an instant, or none when the log does not reach back so far."""
    log = list_log(lake, name)
    low, high = log.oldest, max(log.commits)
    oldest = committed_at(lake, name, low)
    if oldest is None or oldest > instant:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        at = committed_at(lake, name, middle)
        low, high = (middle, high) if at is not None and at <= instant else (low, middle - 1)
    return low


def open_as_of(lake: Lake, name: str, as_of: str = "") -> DeltaTable:
    """Open a table as of a version or an instant (ISO 8601, UTC where it names no zone); without either, as it is.

    Raises NotFound for a table or version that is not there and InvalidInput for what is neither.
    """
    if not lake.exists(name):
        raise NotFound(f"{name} has not been created yet.")
    if not as_of:
        return lake.open(name)
    log = list_log(lake, name)
    head = max(log.commits)
    version = int(as_of) if as_of.isascii() and as_of.isdigit() else version_at(lake, name, _instant(as_of))
    readable = version is not None and (log.oldest <= version <= head or version in kept_versions(lake.open(name)))
    if version is None or not readable:
        since = committed_at(lake, name, log.oldest)
        raise NotFound(
            f"{name} cannot be read as of {as_of}: versions {log.oldest} to {head} are there"
            + (f", since {since:%Y-%m-%d %H:%M:%S} UTC." if since is not None else ".")
        )
    return lake.open(name, version)


def read_rows(lake: Lake, name: str, handle: DeltaTable, limit: int) -> list[dict[str, Any]]:
    """Return the first rows of a table as it was opened, no more than `limit`, from no more files than that takes."""
    root, options = lake.uri(name), dict(lake.storage_options)
    found = pl.from_arrow(pa.schema(handle.schema().to_arrow()).empty_table())
    assert isinstance(found, pl.DataFrame)
    for file in list_files(handle).iter_rows(named=True):
        if found.height >= limit:
            break
        rows = pl.scan_parquet(f"{root}/{unquote(file['path'])}", storage_options=options, hive_partitioning=False)
        parted = {key.removeprefix(PARTITION): value for key, value in file.items() if key.startswith(PARTITION)}
        rows = rows.head(limit - found.height).with_columns(pl.lit(value).alias(key) for key, value in parted.items())
        found = pl.concat([found, rows.collect(engine="in-memory")], how="diagonal_relaxed")
    return found.to_dicts()


def list_history(lake: Lake, name: str, limit: int) -> list[dict[str, Any]]:
    """Return what the newest versions did, newest first: version, at, what, read, rows_in, rows_out, gone.

    Raises NotFound for a table that is not there.
    """
    handle = open_as_of(lake, name)
    head = handle.version()
    told: list[dict[str, Any]] = []
    for version in range(head, max(head - limit, -1), -1):
        info = next(
            (each["commitInfo"] for each in lake.read_commit(name, version) or () if "commitInfo" in each), None
        )
        if info is not None:
            told.append({"version": version, **_told(info)})
    return told


def _told(info: Mapping[str, Any]) -> dict[str, Any]:
    lineage, upkeep = (json.loads(info.get(key) or "{}") for key in ("lineage", "upkeep"))
    counts = lineage.get("counts", {})
    what = upkeep.get("kind") or ("retention" if counts.get("expired") else "batch" if lineage else info["operation"])
    read = "; ".join(f"{each['table']} {each.get('from')}-{each['to']}" for each in lineage.get("inputs", ()))
    return {
        "at": datetime.fromtimestamp(info["timestamp"] / 1000, UTC).isoformat(timespec="milliseconds"),
        "what": what,
        "read": read,
        **{name: counts.get(name) for name in ("rows_in", "rows_out", "gone")},
    }


def kept_versions(handle: DeltaTable) -> frozenset[int]:
    """Return the versions that stay readable for an audit, however old they are."""
    listed = handle.metadata().configuration.get(_KEPT) or ""
    return frozenset(int(version) for version in listed.split(",") if version)


def keep_version(lake: Lake, name: str, version: int, *, keep: bool = True) -> frozenset[int]:
    """Keep a version for an audit, or no longer, and return all that are kept. Raises NotFound if it is gone."""
    open_as_of(lake, name, str(version))
    handle = lake.open(name)
    kept = kept_versions(handle) | {version} if keep else kept_versions(handle) - {version}
    listed = ",".join(str(each) for each in sorted(kept))
    handle.alter.set_table_properties({_KEPT: listed}, raise_if_not_exists=False)
    return kept


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("as-of", f"{text} is neither a version nor an instant such as 2026-11-24T02:30") from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
