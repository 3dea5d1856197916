"""Slices of one batch run on several nodes of a cluster, and come to what one process makes of them."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ray.util.state import list_tasks

from data_jobs.batches import refine
from data_jobs.catalogue import find_table
from data_jobs.plans import Outcome, Plan
from data_jobs.ray_work import joined, run_slices
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land, rows_of, run_here
from tests.fixtures.object_store import ObjectStore
from tests.fixtures.ray_cluster import RayCluster
from tests.fixtures.retail import make_receipt, make_store

# Ray Data sets its own deprecated settings when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

SLICES = 8
TABLES = tuple(find_table(name) for name in ("silver.stores", "silver.receipts", "gold.store_days"))


@pytest.fixture
def on_two_nodes(ray_cluster: RayCluster) -> Iterator[RayCluster]:
    """A cluster that this process has joined."""
    with joined(ray_cluster.address):
        yield ray_cluster


def _sliced(plan: Plan) -> Plan:
    """Cut a batch as one of many megabytes would be."""
    return replace(plan, slices=SLICES if find_table(plan.table).slice_by else 1)


def _run_on_nodes(plan: Plan) -> Outcome:
    return run_slices(_sliced(plan))


def _land(lake: Lake) -> None:
    stores = [make_store(store_id=number, name=f"Store {number}") for number in range(1, 25)]
    land(lake, bronze.STORES, stores)
    land(lake, bronze.RECEIPTS, [make_receipt(store_id=store.store_id) for store in stores])


def test_slices_of_a_batch_run_on_both_nodes_and_come_to_what_one_process_makes(
    on_two_nodes: RayCluster, object_store: ObjectStore, lake: Lake
) -> None:
    shared = object_store.make_lake()
    for each in (shared, lake):
        _land(each)
    for table in TABLES:
        for each, run in ((shared, _run_on_nodes), (lake, run_here)):
            batch = refine(each, table, run, 2)
            assert batch is not None
            assert batch.rows_out == 24
        key, rows = list(table.key), [rows_of(each, table.name) for each in (shared, lake)]
        numbered = [name for name in rows[0].columns if name == "sequence"]
        made, expected = (frame.drop(numbered).sort(key) for frame in rows)
        assert made.equals(expected), table.name
    assert _count_nodes(on_two_nodes) == 2


def _count_nodes(ray_cluster: RayCluster) -> int:
    """Return on how many nodes slices ran, by Ray's own account, which comes a moment later."""
    deadline, nodes = time.monotonic() + 30, set[str | None]()
    while len(nodes) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        tasks = list_tasks(ray_cluster.jobs, filters=[("name", "=", "MapBatches(refine_block)")])
        nodes = {task.node_id for task in tasks if task.node_id is not None}
    return len(nodes)
