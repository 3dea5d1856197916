"""How the platform is watched."""

from __future__ import annotations

from pydantic import Field

from configs.section import Section


class MonitorSettings(Section):
    """The process that looks at all parts and tells Prometheus: `receipts monitor`."""

    host: str = "127.0.0.1"  # as `ingest.metrics_host`
    port: int = Field(default=50058, ge=1024, le=65535)
    interval_s: float = Field(default=15.0, ge=1)  # between two looks

    @property
    def late_s(self) -> float:
        """Return how old what was seen may be; beyond that the monitor itself is ill."""
        return 4 * self.interval_s
