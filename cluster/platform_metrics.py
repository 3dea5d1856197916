"""What the monitor saw, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX = "receipts_platform"

Told = Mapping[str, Any]
_Sample = tuple[Sequence[str], float]


class Looks(Protocol):
    """Who looks at the platform."""

    told: dict[str, Any] | None
    took_s: float
    failed: int

    def is_fresh(self) -> bool:
        """Say whether what was seen is of now."""
        ...


class PlatformCollector(Collector):
    """Tells the last look, while it is fresh: what is not known any more is not told as if it were."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._process = ProcessCollector(namespace=PREFIX, registry=None)

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        looks = self._looks
        told = looks.told if looks.is_fresh() else None
        failed = CounterMetricFamily(f"{PREFIX}_look_failures", "Looks that ended in an error.")
        failed.add_metric((), looks.failed)
        yield failed
        yield _gauge("look_seconds", "How long the last look took.", (), [((), looks.took_s)])
        yield from self._process.collect()
        for family in (_parts, _servers, _stages, _jobs, _trail, _serving):
            yield from family(told)


def _gauge(name: str, what: str, labels: Sequence[str], told: Iterable[_Sample]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=labels)
    for values, number in told:
        family.add_metric(values, number)
    return family


def _parts(told: Told | None) -> Iterator[Metric]:
    parts = [((part["name"],), float(part["state"] == "healthy")) for part in told["parts"]] if told else []
    yield _gauge("part_up", "1 while the part of the platform is healthy.", ("part",), parts)
    ill = [((), sum(one["ill"] for one in told["problems"]))] if told else []
    yield _gauge("problems", "What `receipts status` calls ill.", (), ill)
    free = [((), told["disk_free"])] if told and told["disk_free"] is not None else []
    yield _gauge("disk_free_ratio", "Share of the disk below state_dir that is free.", (), free)


def _servers(told: Told | None) -> Iterator[Metric]:
    standbys = [one for one in told["servers"] if one["role"] != "primary"] if told else []
    following = [((one["name"],), float(one["state"] == "streaming")) for one in standbys]
    lags = [((one["name"],), one["lag_s"]) for one in standbys if one["lag_s"] is not None]
    behind = [((one["name"],), one["lag_bytes"]) for one in standbys if one["lag_bytes"] is not None]
    yield _gauge("standby_streaming", "1 while the embedded standby follows.", ("server",), following)
    yield _gauge("standby_lag_seconds", "How far it is behind, as the primary measures it.", ("server",), lags)
    yield _gauge("standby_lag_bytes", "The same in bytes of the write-ahead log.", ("server",), behind)
    yield _gauge(
        "postgres_up", "1 while Postgres answers.", (), [((), float(told["ingest"] is not None))] if told else []
    )


def _stages(told: Told | None) -> Iterator[Metric]:
    for stage, what in (
        ("refinement", "Age of the oldest commit of its source that a refined table has not read."),
        ("sync", "Age of the oldest commit of a table that Postgres has not followed."),
    ):
        lags = [((table,), lag["lag_s"]) for table, lag in told[stage].items()] if told else []
        yield _gauge(f"{stage}_lag_seconds", what, ("table",), lags)
    now = datetime.now(UTC)
    synced = told["sync"].items() if told else ()
    ages = [((table,), (now - datetime.fromisoformat(lag["synced_at"])).total_seconds()) for table, lag in synced]
    yield _gauge("synced_seconds", "Time since a table had news for Postgres that were synced.", ("table",), ages)
    waits = [((), told["ingest"]["outbox_oldest_s"])] if told and told["ingest"] else []
    yield _gauge("outbox_oldest_seconds", "Age of the oldest record that Bronze does not hold.", (), waits)
    states = ("held", "replayed") if told and told["ingest"] else ()
    held = [((state,), told["ingest"][f"quarantine_{state}"]) for state in states] if told else []
    yield _gauge("quarantine_records", "Refused records, by what became of them.", ("state",), held)


def _jobs(told: Told | None) -> Iterator[Metric]:
    now, nights = datetime.now(UTC), told["nightly"].items() if told else ()
    ages = [((job,), (now - datetime.fromisoformat(last["ended_at"])).total_seconds()) for job, last in nights]
    yield _gauge("nightly_age_seconds", "Time since the last attempt at a nightly job ended.", ("job",), ages)
    failed = [((job,), float(last["error"] is not None)) for job, last in nights]
    yield _gauge("nightly_failed", "1 where that attempt failed.", ("job",), failed)
    batches = [((table,), number) for table, number in told["failed_batches"].items()] if told else []
    yield _gauge("failed_batches", "Batches of a table that failed within the last hour.", ("table",), batches)


def _trail(told: Told | None) -> Iterator[Metric]:
    audit: Told = (told["audit"] if told else None) or {}
    for name, what, key in (
        (
            "audit_unsearchable_seconds",
            "Age of the oldest events not yet taken apart.",
            "unprojected_oldest_s",
        ),
        ("audit_unanchored_seconds", "Age of the oldest events that no anchor covers.", "unanchored_oldest_s"),
        ("audit_anchor_age_seconds", "Age of the last anchor; a quiet trail needs none.", "anchor_age_s"),
        ("audit_faults", "Groups of the trail that do not follow or cannot be read.", "faults"),
    ):
        value = audit.get(key)
        yield _gauge(name, what, (), [] if value is None else [((), float(value))])


def _serving(told: Told | None) -> Iterator[Metric]:
    applications = told["serving"]["applications"].items() if told else ()
    running = [((name,), one["running"]) for name, one in applications]
    wanted = [((name,), one["wanted"]) for name, one in applications]
    yield _gauge("replicas_running", "Replicas of an application that live on this node.", ("application",), running)
    yield _gauge("replicas_wanted", "The fewest there shall be.", ("application",), wanted)
