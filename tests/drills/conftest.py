"""One Postgres that may be killed, for all drills, and a platform of its own for each."""

import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster import migrations, postgres, postgres_home, roles
from cluster.credentials import ensure_credentials
from configs.settings import Settings
from tests.drills.rig import Rig, start_postgres
from tests.fixtures.database import PostgresServer
from tests.fixtures.ports import free_ports
from tests.fixtures.retail import make_store, store_rows
from tests.interop.conftest import sdk_python  # noqa: F401 - a fixture for the drills, too

STORES = (101, 102, 201, 202)
_TEMPLATE = "receipts_drills"
_SEED = 20_261_117
_OUTAGE_S = 5.0  # how long something is away, unless the run asks for longer
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes the drills longer, or other ones."""
    parser.addoption("--drill-seconds", type=float, default=_OUTAGE_S, help="how long outages last")
    parser.addoption("--drill-seed", type=int, default=_SEED, help="what the drills' random moments come from")


@pytest.fixture
def outage_s(request: pytest.FixtureRequest) -> float:
    """How long an outage lasts."""
    return request.config.getoption("--drill-seconds", default=_OUTAGE_S)


@pytest.fixture(scope="package")
def drill_server(state_root: Path) -> Iterator[PostgresServer]:
    """A server of production's settings: it is killed, so what it says is durable must be."""
    (port,) = free_ports(1)
    settings = Settings(state_dir=state_root / "drills", database={"embedded_port": port})
    try:
        postgres.start(settings)
        server = PostgresServer(settings, roles.role_passwords(settings))
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            roles.ensure_roles(connection, server.passwords)
        server.create_database(_TEMPLATE)
        migrations.migrate(server.dsn(_TEMPLATE))
        yield server
    finally:
        postgres.stop(settings)
        postgres_home.remove_home(settings)


@pytest.fixture
def rig(
    drill_server: PostgresServer, state_root: Path, ray_address: str, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """A platform with four stores and nothing running yet."""
    name = f"drill_{next(_numbers)}"
    drill_server.create_database(name, _TEMPLATE)
    port, token_port, metrics_port, drainer_port = free_ports(4)
    settings = Settings(
        state_dir=state_root / name,
        database={"dsn": drill_server.dsn(name), "role_passwords": drill_server.passwords},
        ingest={
            "port": port,
            "token_port": token_port,
            "metrics_port": metrics_port,
            "drainer_metrics_port": drainer_port,
            "require_token": False,
            "drain_interval_s": 0.05,  # many commits to be killed in
            "drain_records": 100,
        },
    )
    settings.state_dir.mkdir()
    ensure_credentials(settings)
    store_rows(settings, stores=[make_store(store_id=store_id) for store_id in STORES])
    made = Rig(drill_server.settings, settings, ray_address, request.config.getoption("--drill-seed", default=_SEED))
    try:
        yield made
    finally:
        made.end()
        for worker in (made.gateway, made.drainer):  # pytest shows it beside a failure
            sys.stdout.write(f"--- {worker.log.name}\n{worker.last_words()}\n")
        if not postgres.is_running(drill_server.settings):  # the drill failed half-way
            start_postgres(drill_server.settings)
        drill_server.drop_database(name)
        shutil.rmtree(settings.state_dir, ignore_errors=True)
