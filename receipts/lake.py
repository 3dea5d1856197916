"""The Delta tables of the lake: where they are, how one is created and opened."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileType

from configs.settings import Settings

_BASE_CONFIGURATION = {
    "delta.enableChangeDataFeed": "true",  # enabling it later makes earlier versions unreadable as a feed
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.enableExpiredLogCleanup": "false",  # by age alone: the pipeline's vacuum knows who has read what
}


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A Delta table. `name` is `layer.table`; `statistics` are the columns whose min/max may stand in the log.

    No column with personal data may be listed in `statistics`: the log outlives the rows.
    """

    name: str
    schema: pa.Schema
    statistics: Sequence[str] = ()
    partitions: Sequence[str] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lake:
    """The root of all tables and the options of its object store."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds the store's secrets

    def uri(self, name: str) -> str:
        """Return where a table lives: `<root>/<layer>/<table>`."""
        return f"{self.root}/{name.replace('.', '/')}"

    def exists(self, name: str) -> bool:
        """Say whether a table has been created."""
        return DeltaTable.is_deltatable(self.uri(name), dict(self.storage_options))

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """Open a table anew: a handle kept for many commits grows slow, so nobody keeps one."""
        return DeltaTable(self.uri(name), version=version, storage_options=dict(self.storage_options))

    def newest_version(self, name: str, known: int) -> int:
        """Return a table's newest version, looking from one that is known to have been there, or from -1.

        Looking for the commits that follow it costs a fraction of opening the table. Where the log has been cleaned up
        over the known one, the table is opened.
        """
        store = DeltaStorageHandler(self.uri(name), dict(self.storage_options))
        if known < 0 or not _is_file(store, _log_file(known)):
            return self.open(name).version()
        version = known
        while _is_file(store, _log_file(version + 1)):
            version += 1
        return version

    def ensure(self, table: LakeTable) -> DeltaTable:
        """Open a table, creating it with its change data feed on if it is not there."""
        if not self.exists(table.name):
            with contextlib.suppress(CommitFailedError):  # another process creates it at this moment, and as well
                self._create(table)
        return self.open(table.name)

    def _create(self, table: LakeTable) -> None:
        DeltaTable.create(
            self.uri(table.name),
            table.schema,
            mode="ignore",
            partition_by=list(table.partitions),
            configuration={
                **_BASE_CONFIGURATION,
                "delta.dataSkippingStatsColumns": ",".join(table.statistics),
                **table.configuration,
            },
            commit_properties=CommitProperties(max_commit_retries=0),  # or a slower process creates it over again
            storage_options=dict(self.storage_options),
        )

    def read_commit(self, name: str, version: int) -> list[dict[str, Any]] | None:
        """Return the actions of one commit as the log holds them, or none when its log file is not there."""
        store = DeltaStorageHandler(self.uri(name), dict(self.storage_options))
        try:
            with store.open_input_file(_log_file(version)) as file:
                return [json.loads(line) for line in file.read().splitlines()]
        except FileNotFoundError:
            return None

    def make_durable(self, name: str, version: int, commit: Sequence[Mapping[str, Any]]) -> None:
        """Bring a commit onto the disk, so that a power cut does not undo it; an object store has done so already.

        `commit` are its actions. Data files first, because the log names them. A file that is gone by now was
        rewritten by a later commit.
        """
        if "://" in self.root:
            return
        table = Path(self.uri(name))
        added = [table / unquote(action["add"]["path"]) for action in commit if "add" in action]
        above = table.parents[:3]  # layer, root and what holds the root: all may be new
        for path in (*added, table, table / _log_file(version), table / "_delta_log", *above):
            _fsync(path)


def _log_file(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _is_file(store: DeltaStorageHandler, path: str) -> bool:
    return store.get_file_info([path])[0].type == FileType.File


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lake_of(settings: Settings) -> Lake:
    """Return the lake that the settings name."""
    options = {key: value.get_secret_value() for key, value in settings.lake.storage_options.items()}
    return Lake(settings.lake_root, options)
