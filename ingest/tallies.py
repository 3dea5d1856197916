"""What the metrics are told of a group that became durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ingest.metrics import Metrics
from ingest.records import Incoming, OutboxRow


def tally(metrics: Metrics, way: str, records: Sequence[Incoming], new: Sequence[OutboxRow]) -> None:
    """Count records by Bronze table and what became of them, and new refusals by their kind."""
    tables = Counter(record.bronze.bronze_table for record in records)
    refused = Counter((row.bronze_table, row.kind or "malformed") for row in new if row.refusal is not None)
    accepted = Counter(row.bronze_table for row in new if row.refusal is None)
    for (table, kind), count in refused.items():
        metrics.refusals.labels(table, kind).inc(count)
        metrics.records.labels(table, way, "refused").inc(count)
        tables[table] -= count
    for table, count in accepted.items():
        metrics.records.labels(table, way, "new").inc(count)
        tables[table] -= count
    for table, count in tables.items():
        if count > 0:
            metrics.records.labels(table, way, "known").inc(count)
