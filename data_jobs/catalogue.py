"""All refined tables, by name and in the order they follow from each other."""

from __future__ import annotations

from graphlib import TopologicalSorter

from data_jobs.declaration import Table
from data_jobs.tables import (
    audit_anchors,
    audit_events,
    audit_groups,
    events_nightly,
    events_pipeline,
    gold_burst_patterns,
    gold_customer_profiles,
    gold_fraud_patterns,
    gold_fraud_signals,
    gold_product_embeddings,
    gold_product_sales,
    gold_return_patterns,
    gold_shopping_bursts,
    gold_spending_insights,
    gold_store_days,
    silver_customers,
    silver_products,
    silver_quarantine,
    silver_receipt_lines,
    silver_receipts,
    silver_returns,
    silver_stores,
)
from receipts.errors import InvalidInput

TABLES: tuple[Table, ...] = (
    silver_stores.TABLE,
    silver_customers.TABLE,
    silver_quarantine.TABLE,
    silver_receipts.TABLE,
    gold_customer_profiles.TABLE,  # of those made from receipts the first: representatives wait for it
    silver_receipt_lines.TABLE,
    silver_returns.TABLE,
    silver_products.TABLE,
    gold_spending_insights.TABLE,
    gold_store_days.TABLE,
    gold_product_sales.TABLE,
    gold_fraud_signals.TABLE,
    gold_shopping_bursts.TABLE,
    gold_fraud_patterns.TABLE,
    gold_burst_patterns.TABLE,
    gold_return_patterns.TABLE,
    gold_product_embeddings.TABLE,
    events_pipeline.TABLE,
    events_nightly.TABLE,
    audit_groups.TABLE,
    audit_events.TABLE,
    audit_anchors.TABLE,
)
_BY_NAME = {table.name: table for table in TABLES}


def find_table(name: str) -> Table:
    """Return a table by name. Raises InvalidInput that lists the names there are."""
    if name not in _BY_NAME:
        raise InvalidInput("table", f"{name} is not one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def made_from(table: Table) -> tuple[Table, ...]:
    """Return the refined tables that a table reads."""
    return tuple(source for source in (table.input, *table.lookups) if isinstance(source, Table))


def in_order(wanted: Table | None = None) -> tuple[Table, ...]:
    """Return all tables, or one with all it is made from, each after those it reads."""
    chosen = set(TABLES) if wanted is None else _ancestry(wanted)
    order = TopologicalSorter({table: set(made_from(table)) for table in TABLES}).static_order()
    return tuple(table for table in order if table in chosen)


def _ancestry(table: Table) -> set[Table]:
    return {table}.union(*(_ancestry(source) for source in made_from(table)))
