"""The Delta tables of the lake: where they are, how one is created and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import DeltaTable

from configs.settings import Settings

_BASE_CONFIGURATION = {
    "delta.enableChangeDataFeed": "true",  # enabling it later makes earlier versions unreadable as a feed
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 30 days",
}


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A Delta table. `name` is `layer.table`; `statistics` are the columns whose min/max may stand in the log.

    No column with personal data may be listed in `statistics`: the log outlives the rows.
    """

    name: str
    schema: pa.Schema
    statistics: Sequence[str] = ()
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

    def ensure(self, table: LakeTable) -> DeltaTable:
        """Open a table, creating it with its change data feed on if it is not there."""
        if not self.exists(table.name):
            DeltaTable.create(
                self.uri(table.name),
                table.schema,
                mode="ignore",
                configuration={
                    **_BASE_CONFIGURATION,
                    "delta.dataSkippingStatsColumns": ",".join(table.statistics),
                    **table.configuration,
                },
                storage_options=dict(self.storage_options),
            )
        return self.open(table.name)


def lake_of(settings: Settings) -> Lake:
    """Return the lake that the settings name."""
    options = {key: value.get_secret_value() for key, value in settings.lake.storage_options.items()}
    return Lake(settings.lake_root, options)
