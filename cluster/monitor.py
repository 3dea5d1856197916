"""The process that looks at the platform again and again and tells of it, so that a silence is noticed as well."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry

from cluster.bulletin import publish
from cluster.platform_metrics import PlatformCollector
from cluster.replica_metrics import node_text
from cluster.serving_rates import Rates, note_rates
from cluster.status import look, watch_of
from configs.settings import Settings, SettingsError
from receipts.logs import described
from receipts.metrics_server import serving_metrics

_log = logging.getLogger(__name__)


class Monitor:
    """What was seen last, and when, in seconds of the monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self.told: dict[str, Any] | None = None
        self.took_s = 0.0
        self.failed = 0
        self._settings = settings
        self._watch = watch_of(settings)
        self._rates = Rates()
        self._looked_at = float("-inf")

    def look(self) -> None:
        """Look once; whatever goes wrong is counted and logged, and the next look tries again."""
        began = time.monotonic()
        try:
            told = look(self._settings, self._watch)
            rates = self._rates.take(node_text(self._settings), began)
            if rates:
                note_rates(self._settings, rates)
        except Exception as error:  # noqa: BLE001  a part may fail in any way, and must not silence the others for good
            self.failed += 1
            _log.warning("The platform could not be looked at: %s", described(error))
            return
        self.told, self._looked_at, self.took_s = told, time.monotonic(), time.monotonic() - began
        self._publish(told)

    def _publish(self, told: dict[str, Any]) -> None:
        """Let administrators read it, where Postgres takes it; that it does not is in what was told."""
        try:
            publish(self._settings, told)
        except (psycopg.Error, SettingsError) as error:
            _log.info("What was seen is not in Postgres: %s", described(error))

    def is_fresh(self) -> bool:
        """Say whether what was seen is of now."""
        return time.monotonic() - self._looked_at < self._settings.monitor.late_s


def watch_over(settings: Settings, stop: threading.Event) -> None:
    """Look every `monitor.interval_s` and serve what is seen on `monitor.port`, until `stop` is set."""
    monitor = Monitor(settings)
    registry = CollectorRegistry()
    registry.register(PlatformCollector(monitor))
    with serving_metrics(registry, settings.monitor.port, settings.monitor.host, monitor.is_fresh):
        while not stop.is_set():
            monitor.look()
            stop.wait(settings.monitor.interval_s)
