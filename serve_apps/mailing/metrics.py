"""What the mailer counts for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

# Seconds from when a delivery was due to when the mail server had it.
_LATE_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0)


class Metrics:
    """The metrics of a mailer, in a registry of its own. Labels never hold personal data."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="receipts_mail", registry=self.registry)
        self.sent_seconds = Histogram(
            "receipts_mail_sent_seconds",
            "From when a delivery could no longer be taken back to when the mail server had it.",
            buckets=_LATE_SECONDS,
            registry=self.registry,
        )
        self.failed = Counter(
            "receipts_mail_failed",
            "Deliveries that were given up, because they were refused, or tried or waited for too long (late).",
            ("reason",),
            registry=self.registry,
        )
        for reason in ("refused", "late", "unusable"):
            self.failed.labels(reason)  # told from the start: a rate sees no series begin
        self.put_off = Counter(
            "receipts_mail_put_off", "Attempts that failed and are made again.", registry=self.registry
        )
        self.waiting = Gauge("receipts_mail_waiting", "Deliveries that have not ended.", registry=self.registry)
        self.oldest_seconds = Gauge(
            "receipts_mail_oldest_seconds", "For how long the first of them has been due.", registry=self.registry
        )
        self.server_up = Gauge(
            "receipts_mail_server_up",
            "1 unless the mail server turned us away when it was asked last.",
            registry=self.registry,
        )
        self.server_up.set(1)  # it is asked when there is something to send
        self.postgres_up = Gauge(
            "receipts_mail_postgres_up", "1 while Postgres answers the mailer.", registry=self.registry
        )
