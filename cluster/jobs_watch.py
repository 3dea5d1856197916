"""What the pipeline says of its jobs in the lake: nights, batches that failed, and anchors of the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from cluster.lags import LakeWatch

_RECENTLY = timedelta(hours=1)  # the same failure is told once an hour

T = TypeVar("T")


class JobsWatch:
    """Reads the tables of events and anchors again only when they have moved."""

    def __init__(self, watch: LakeWatch) -> None:
        self._watch = watch
        self._read: dict[str, tuple[int, Any]] = {}

    def nightly(self) -> dict[str, dict[str, Any]]:
        """Return the last attempt at each nightly job, with times as text."""
        from data_jobs.tables import events_nightly  # noqa: PLC0415  needed here only and slow to import
        from data_jobs.upkeep.nightly import list_last  # noqa: PLC0415  as above

        last = self._once(events_nightly.TABLE.name, lambda: list_last(self._watch.lake), {})
        return {
            job: {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
            for job, row in last.items()
        }

    def failed_batches(self) -> dict[str, int]:
        """Return how many batches failed within the last hour, by table, for tables with any."""
        from data_jobs.tables import events_pipeline  # noqa: PLC0415  needed here only and slow to import

        name = events_pipeline.TABLE.name
        since = datetime.now(UTC) - _RECENTLY
        failures: list[tuple[str, datetime]] = self._once(name, lambda: self._list_failures(name, since), [])
        recent = [table for table, failed_at in failures if failed_at > since]
        return {table: recent.count(table) for table in dict.fromkeys(recent)}

    def anchor(self) -> dict[str, Any]:
        """Return `number`, `position` and `age_s` of the newest anchor; zeros and null where there is none."""
        from data_jobs.trail.anchoring import ANCHORS, last_anchor  # noqa: PLC0415  needed here only, slow to import

        anchor = self._once(ANCHORS.name, lambda: last_anchor(self._watch.lake), None)
        if anchor is None:
            return {"number": 0, "position": 0, "age_s": None}
        told = anchor.told()
        age_s = (datetime.now(UTC) - datetime.fromisoformat(told["made_at"])).total_seconds()
        return {"number": told["number"], "position": told["position"], "age_s": round(age_s, 1)}

    def _list_failures(self, name: str, since: datetime) -> list[tuple[str, datetime]]:
        import polars as pl  # noqa: PLC0415  needed here only and slow to import

        lake = self._watch.lake
        rows = pl.scan_delta(lake.uri(name), storage_options=dict(lake.storage_options)).filter(
            pl.col("committed_at") > since, pl.col("error").is_not_null()
        )
        return rows.select("table", "committed_at").collect(engine="in-memory").rows()

    def _once(self, name: str, read: Callable[[], T], without: T) -> T:
        """Return what a table says, read anew when its version has changed."""
        version = self._watch.version(name)
        if version is None:
            return without
        known = self._read.get(name)
        if known is None or known[0] != version:
            known = self._read[name] = version, read()
        return known[1]
