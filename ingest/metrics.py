"""What ingest counts for Prometheus: one object a process, handed to whoever has something to count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

# Seconds: fine around the 10 ms that a till is promised, coarse beyond.
_ACK_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """The metrics of a gateway or a drainer, in a registry of its own. Labels never hold personal data."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="receipts_ingest", registry=self.registry)
        self._of_gateways()
        self._of_stores()
        self._of_drainers()

    def _of_gateways(self) -> None:
        self.records = Counter(
            "receipts_ingest_records",
            "Records made durable, by Bronze table, way (outbox, direct) and what became of them (new, "
            "known, refused).",
            ("table", "way", "outcome"),
            registry=self.registry,
        )
        self.bytes = Counter(
            "receipts_ingest_bytes",
            "Bytes of the records received, by Bronze table.",
            ("table",),
            registry=self.registry,
        )
        self.ack_seconds = Histogram(
            "receipts_ingest_ack_seconds",
            "From a message read to its records durable.",
            buckets=_ACK_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "receipts_ingest_in_flight_records", "Records read and not yet durable.", registry=self.registry
        )
        self.streams = Gauge("receipts_ingest_streams", "Open streams.", registry=self.registry)
        self.refusals = Counter(
            "receipts_ingest_refusals", "Records refused, by kind.", ("table", "kind"), registry=self.registry
        )
        self.streams_refused = Counter(
            "receipts_ingest_streams_refused", "Streams refused, by gRPC status.", ("status",), registry=self.registry
        )

    def _of_stores(self) -> None:
        self.postgres_up = Gauge(
            "receipts_ingest_postgres_up", "1 while Postgres takes this process' writes.", registry=self.registry
        )
        self.lake_up = Gauge(
            "receipts_ingest_lake_up",
            "1 unless Bronze refused this process' last write to it.",
            registry=self.registry,
        )
        self.lake_up.set(1)  # a gateway whose Postgres works never writes to Bronze itself
        self.outbox_rows = Gauge(
            "receipts_ingest_outbox_rows", "Records that Bronze does not hold yet.", registry=self.registry
        )
        self.outbox_oldest_seconds = Gauge(
            "receipts_ingest_outbox_oldest_seconds", "Age of the oldest of them.", registry=self.registry
        )
        self.outbox_bytes = Gauge("receipts_ingest_outbox_bytes", "Size of the outbox on disk.", registry=self.registry)

    def _of_drainers(self) -> None:
        self.drained = Counter(
            "receipts_ingest_drained", "Records moved from the outbox to Bronze.", ("table",), registry=self.registry
        )
        self.settled = Counter(
            "receipts_ingest_settled",
            "Records that Bronze held and Postgres learned of afterwards.",
            ("table",),
            registry=self.registry,
        )
        self.given_up = Counter(
            "receipts_ingest_drainer_given_up",
            "Statements of the drainer that Postgres gave up, and that are tried again: most waited for a lock.",
            registry=self.registry,
        )
        self.leading = Gauge("receipts_ingest_drainer_leading", "1 in the drainer that works.", registry=self.registry)
        self.quarantine_held = Gauge(
            "receipts_ingest_quarantine_held",
            "Refused records that wait for somebody.",
            ("kind",),
            registry=self.registry,
        )


class TillMetrics:
    """The metrics of a till: how much of what it sold no gateway has acknowledged yet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._records = Gauge(
            "receipts_ingest_spool_records", "Records on the till's disk that no gateway holds.", registry=self.registry
        )
        self._bytes = Gauge("receipts_ingest_spool_bytes", "Bytes of these records.", registry=self.registry)
        self._oldest_seconds = Gauge(
            "receipts_ingest_spool_oldest_seconds", "Age of the oldest of them.", registry=self.registry
        )

    def note_spool(self, *, records: int, size_bytes: int, oldest_s: float) -> None:
        """Show what the spool holds now; `oldest_s` is 0 when it is empty."""
        self._records.set(records)
        self._bytes.set(size_bytes)
        self._oldest_seconds.set(oldest_s)
