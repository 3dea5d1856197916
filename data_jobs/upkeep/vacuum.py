"""Files that no reader can want any more: what killed batches left, what was removed, and the log of old versions.

A table stays readable back to its floor: the last version that was there `history` ago, or the one that the slowest of
its readers stopped at if that is older. Log and files go together, so that what the log tells can be read:

- the log before the floor goes, once there is a checkpoint at the floor;
- a file goes that is neither in the newest version nor in the floor's nor in a version kept for an audit, and that was
  written so long before the floor was committed that no later version can name it (nor a batch that still runs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from data_jobs.catalogue import TABLES
from data_jobs.changes import NEVER, list_files
from data_jobs.commits import cursor_of
from data_jobs.declaration import Table
from data_jobs.upkeep.maintained import KEPT
from data_jobs.upkeep.versions import (
    Log,
    committed_at,
    kept_versions,
    list_files_under,
    list_log,
    version_at,
)
from receipts.lake import Lake

_NO_CLEANUP = {"delta.enableExpiredLogCleanup": "false"}  # Delta's own goes by age alone and knows no readers


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a table can be read as of, how long a batch may take to write and commit, when a log is worth it."""

    history: timedelta = timedelta(days=7)
    longest_batch: timedelta = timedelta(days=1)
    fewest_commits: int = 50


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What went; with a rehearsal, what would have gone."""

    table: str
    floor: int  # the oldest version that every reader may still ask for
    commits: int
    files: int
    size_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.files} files ({self.size_bytes / 1e6:.1f} MB) and {self.commits} commits "
            f"before version {self.floor} removed"
        )


def vacuum(
    lake: Lake,
    readers: Mapping[str, int],
    limits: Limits,
    tables: Iterable[Table] = KEPT,
    *,
    rehearse: bool = False,
) -> Iterator[Vacuumed]:
    """Clean up table by table; `readers` says how far readers outside the lake are, by table.

    Runs in the one process that refines, between two batches.
    """
    for table in tables:
        if lake.exists(table.name):
            yield _vacuum(lake, table.name, readers, limits, rehearse=rehearse)


def _vacuum(lake: Lake, name: str, readers: Mapping[str, int], limits: Limits, *, rehearse: bool) -> Vacuumed:
    handle = _guarded(lake, name, rehearse=rehearse)
    kept, log = kept_versions(handle), list_log(lake, name)
    floor = find_floor(lake, name, readers, limits)
    old = sorted(version for version in log.commits if version < floor and version not in kept)
    if len(old) < limits.fewest_commits:
        floor, old = min(floor, log.oldest), []
    written_before = (committed_at(lake, name, floor) or datetime.now(UTC)) - limits.longest_batch
    wanted = _files_of(handle).union(*(_files_of(lake.open(name, version)) for version in {floor, *kept}))
    unwanted = [
        (file.path, file.size or 0)
        for file in list_files_under(lake, name)
        if not file.path.startswith("_delta_log/") and file.path not in wanted and file.mtime < written_before
    ]
    if not rehearse:
        if old:
            _make_checkpoints(lake, name, log, (floor, *(version for version in kept if version < floor)))
            _remove_log(lake, name, log, old, floor, kept)
        store = DeltaStorageHandler(lake.uri(name), dict(lake.storage_options))
        for path, _ in unwanted:
            store.delete_file(path)
    return Vacuumed(name, floor, len(old), len(unwanted), sum(size for _, size in unwanted))


def find_floor(lake: Lake, name: str, readers: Mapping[str, int], limits: Limits) -> int:
    """Return the version back to which a table must stay readable.

    A reader that never read starts from a snapshot and holds nothing up.
    """
    long_ago = version_at(lake, name, datetime.now(UTC) - limits.history)
    floors = [lake.open(name).version(), list_log(lake, name).oldest if long_ago is None else long_ago]
    floors += [cursor for cursor in (*_cursors(lake, name), readers.get(name, NEVER)) if cursor != NEVER]
    return min(floors)


def _cursors(lake: Lake, name: str) -> Iterator[int]:
    """Yield how far each table that follows this one has read it, and its quarantine with it."""
    for follower in TABLES:
        if follower.input is None or follower.input.name != name:
            continue
        for sink in (follower, follower.quarantine):
            if sink is not None and lake.exists(sink.name):
                yield cursor_of(lake.open(sink.name), follower.cursor)


def _guarded(lake: Lake, name: str, *, rehearse: bool) -> DeltaTable:
    """Open a table and see to it that nobody else cleans its log."""
    handle = lake.open(name)
    configured = handle.metadata().configuration
    if not rehearse and any(configured.get(key) != value for key, value in _NO_CLEANUP.items()):
        handle.alter.set_table_properties(_NO_CLEANUP)
        handle = lake.open(name)
    return handle


def _files_of(handle: DeltaTable) -> set[str]:
    return {unquote(path) for path in list_files(handle)["path"]}


def _make_checkpoints(lake: Lake, name: str, log: Log, versions: Iterable[int]) -> None:
    """Make versions readable without the log before them; the newest one last, which readers are pointed to."""
    for version in sorted(set(versions) - set(log.checkpoints)):
        lake.open(name, version).create_checkpoint()
    lake.open(name).create_checkpoint()


def _remove_log(lake: Lake, name: str, log: Log, commits: Iterable[int], floor: int, kept: frozenset[int]) -> None:
    """Remove commits oldest first: a clean-up that is cut short leaves a log without gaps before the floor."""
    store = DeltaStorageHandler(lake.uri(name), dict(lake.storage_options))
    for version in commits:
        store.delete_file(f"_delta_log/{version:020d}.json")
    for version, files in log.checkpoints.items():
        if version < floor and version not in kept:
            for file in files:
                store.delete_file(f"_delta_log/{file}")
