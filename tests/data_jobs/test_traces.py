"""What a collector hears of refinement: a batch of each table, and the sync's transactions with a link to theirs."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from configs.settings import Settings
from data_jobs.refinement import Refinery, refine_all
from data_jobs.sync import sync
from data_jobs.traces import Traces, tracing_jobs
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake
from tests.data_jobs.landing import land, run_here
from tests.fixtures.collector import Collector
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

BATCHES = {"refine silver.receipts", "refine silver.customers", "refine gold.customer_profiles"}


@pytest.fixture
def traced(settings: Settings, collector: Collector) -> Settings:
    store_rows(settings, stores=[make_store()])
    return collector.traced(settings, share=0)


@pytest.fixture
def pipeline(traced: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(traced, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        yield connection


def bring(lake: Lake, pipeline: psycopg.Connection[Any], traces: Traces) -> None:
    list(refine_all(Refinery(lake, run_here, parallelism=2, traces=traces)))
    list(sync(lake, pipeline, traces=traces))


def test_each_batch_is_a_trace_and_a_sync_links_to_its_batch(
    lake_with_stores: Lake, traced: Settings, pipeline: psycopg.Connection[Any], collector: Collector
) -> None:
    land(lake_with_stores, bronze.CUSTOMERS, [make_customer()])
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    with tracing_jobs(traced) as traces:
        bring(lake_with_stores, pipeline, traces)
        land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=2)])
        bring(lake_with_stores, pipeline, traces)
    told = {one.name for one in collector.spans()}
    assert told >= BATCHES
    first, second = collector.named("refine silver.receipts")
    assert (first.attributes["receipts.rows_in"], second.attributes["receipts.rows_out"]) == (1, 1)
    assert first.resource["service.name"] == "pipeline"
    # The first sync is a back-fill of what stands there; the second follows the second batch.
    (synced,) = [one for one in collector.named("sync silver.receipts") if one.links_to(second)]
    assert synced.attributes["receipts.upto"] >= second.attributes["receipts.upto"] - 1
    assert any(name.startswith("sync_") for name in collector.below(synced))
    sent = b"".join(collector.bodies)
    customer, receipt = make_customer(), make_receipt()
    secret = (customer.customer_id, customer.last_name, customer.email, customer.phone, receipt.receipt_id)
    assert [text for text in secret if text.encode() in sent] == []


def test_a_whole_run_is_one_trace(
    lake_with_stores: Lake, traced: Settings, pipeline: psycopg.Connection[Any], collector: Collector
) -> None:
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    with tracing_jobs(traced) as traces, traces.run():
        bring(lake_with_stores, pipeline, traces)
    assert {"refine silver.receipts"} <= set(collector.below(collector.one("pipeline.run")))
    assert len({one.span.trace_id for one in collector.spans()}) == 1
