"""A gateway on a loopback port, over a database of its own."""

from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from configs.settings import Settings
from ingest.server import running
from receipts.database import DatabaseRole, connect
from tests.fixtures.ports import free_ports
from tests.fixtures.retail import make_store, store_rows
from tests.ingest.till_double import serving


@pytest.fixture
def open_shop(settings: Settings) -> Settings:
    """Settings of a platform that knows store 367, East Liberty."""
    store_rows(settings, stores=[make_store()])
    return settings


@pytest.fixture
async def gateway(open_shop: Settings) -> AsyncIterator[str]:
    """The address of a running gateway that knows store 367."""
    address = f"127.0.0.1:{open_shop.ingest.port}"
    async with running(open_shop):
        await serving(address)
        yield address


@pytest.fixture
def ingest(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection logged in as the gateway's own role."""
    with connect(settings, DatabaseRole.INGEST) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def free_settings() -> Callable[[Settings], Settings]:
    """Settings of a second gateway of the same platform, on ports of its own."""

    def moved(settings: Settings) -> Settings:
        port, token_port, metrics_port = free_ports(3)
        ports = {"port": port, "token_port": token_port, "metrics_port": metrics_port}
        return settings.model_copy(update={"ingest": settings.ingest.model_copy(update=ports)})

    return moved
