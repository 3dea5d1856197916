"""One Postgres with two standbys and the reps' applications on the run's Ray node, for all drills of serving."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from cluster import ray_node
from cluster.credentials import ensure_anchor_key
from cluster.processes import find_process
from configs.settings import Settings
from loadtest.drill.subjects import World, choose_subjects
from tests.drills.conftest import _SEED
from tests.drills.serving.rig import ServingRig
from tests.fixtures.ports import free_ports
from tests.fixtures.ray import NODE
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.standbys import replicated, superuser
from tests.fixtures.tcp_proxy import TcpProxy

_NOTICED = "what callers noticed"
_REGIONS = {101: 1, 102: 1, 201: 2, 202: 2}
_CUSTOMERS = {"C0000001": (101, 102), "C0000002": (201, 202), "C0000003": (101, 202)}  # where they shop
_EACH = 20  # receipts a store


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each fault was noticed."""
    for report in terminalreporter.getreports(""):  # those of taking down, also from another process
        for name, line in report.user_properties if report.when == "teardown" else ():
            if name == _NOTICED:
                terminalreporter.write_line(str(line))


@pytest.fixture(autouse=True)
def noticed(request: pytest.FixtureRequest, serving: ServingRig) -> Iterator[None]:
    """Keep with the report of each test what its faults were noticed as."""
    yield
    request.node.user_properties.extend((_NOTICED, line) for line in serving.report)
    serving.report.clear()


@pytest.fixture(scope="module")
def serving(pytestconfig: pytest.Config, ray_address: str) -> Iterator[ServingRig]:
    """Applications that answer; two replicas each, so that one may die."""
    port, metrics_port = free_ports(2)
    options = {
        "serve": {"port": port, "metrics_port": metrics_port, "min_replicas": 2},
        "ray": {"address": ray_address},
        # Programs: one name asks more often, and for more customers, than a person may.
        "limits": {"services": "rep.all,rep.east,rep.west"},
    }
    node = find_process(pytestconfig.stash[NODE], ray_node.NAME)
    with replicated(2, **options) as settings:
        ensure_anchor_key(settings)
        line = TcpProxy("127.0.0.1", settings.database.embedded_port)
        line.start()
        seed = pytestconfig.getoption("--drill-seed", default=_SEED)
        rig = ServingRig(settings, ray_address, psutil.Process(node.pid), line, _sell(settings, seed), seed)
        import ray  # here, and in no conftest: it reads once what the run's node is set up with
        from ray import serve

        try:
            rig.deploy()
            yield rig
        finally:
            if ray.is_initialized():
                serve.shutdown()
                ray.shutdown()
            line.close()


def _sell(settings: Settings, seed: int) -> World:
    """Store receipts of customers in two regions; returns what may be asked for."""
    stores = [make_store(store_id=store, region_id=region) for store, region in _REGIONS.items()]
    customers = [make_customer(customer_id=name, home_store_id=shops[0]) for name, shops in _CUSTOMERS.items()]
    receipts = [
        make_receipt(
            store_id=store,
            sequence_number=number,
            customer_id=next(name for name, shops in _CUSTOMERS.items() if store in shops) if number % 2 else None,
            purchased_at=datetime(2026, 11, 17, 15, tzinfo=UTC) + timedelta(minutes=number),
        )
        for store in _REGIONS
        for number in range(1, _EACH + 1)
    ]
    receipts += [make_receipt(store_id=store, sequence_number=900, customer_id="C0000003") for store in (101, 202)]
    store_rows(settings, stores=stores, customers=customers, receipts=receipts)
    with superuser(settings) as owner:  # as the pipeline learns it from the receipts
        owner.execute("UPDATE retail.customers SET region_ids = '{1,2}' WHERE customer_id = 'C0000003'")
    return choose_subjects(settings, len(receipts), seed)
