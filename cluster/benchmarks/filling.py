"""Receipts to measure with: generated, then sent through the gateway as tills would."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import date

from configs.settings import Settings
from ingest.sources.synthetic.history import history_customers, history_receipts, history_stores
from ingest.sources.synthetic.plan import Plan, make_plan
from ingest.till import send

_FIRST, _LAST = date(2026, 1, 1), date(2026, 10, 31)  # fixed, so that every run measures the same receipts


def plan_of(receipts: int, seed: int = 1) -> Plan:
    """Return the plan that a benchmark's receipts are generated from."""
    return make_plan(receipts=receipts, seed=seed, start=_FIRST, end=_LAST, stores=50, customers=max(receipts // 20, 1))


def fill(settings: Settings, receipts: int) -> float:
    """Send stores, customers and receipts; return the seconds that the receipts took."""
    plan = plan_of(receipts)
    return fill_with(settings, plan, history_receipts(plan))


def fill_with(settings: Settings, plan: Plan, receipts: Iterable[str]) -> float:
    """Send a plan's stores and customers, then some receipts of it; return the seconds that these took."""
    _send(settings, "retail.reference.stores", history_stores(plan))
    _send(settings, "retail.crm.customers", history_customers(plan))
    return _send(settings, "retail.pos.receipts", receipts)


def _send(settings: Settings, table: str, records: Iterable[str]) -> float:
    began = time.perf_counter()
    send(records, table=table, target=f"{settings.ingest.host}:{settings.ingest.port}")
    return time.perf_counter() - began
