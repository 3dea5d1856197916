"""The portal before a real API: the serving applications and the portal under uvicorn, on a private database."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from cluster import seeds
from cluster.deploy import capabilities_of
from configs.settings import Settings
from gradio_ui.asgi import build_app

_STARTS_WITHIN_S = 120  # the search application loads its language model first
_STOPS_WITHIN_S = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that remakes the pictures of the documentation."""
    parser.addoption("--screenshots", action="store_true", help="remake the pictures under docs/portal")


@pytest.fixture
def portal(settings: Settings) -> Iterator[Settings]:
    """The portal and everything behind it, running; with the principals of a development platform."""
    assert settings.database.dsn is not None
    seeds.plant(settings.database.dsn.get_secret_value())
    with served(api_of(settings), settings.serve.port), served(build_app(settings), settings.portal.port):
        yield settings


def api_of(settings: Settings) -> ASGIApp:
    """Return all serving applications under the prefixes that they are deployed with."""
    mounts = [
        (one.prefix, importlib.import_module(one.module).build_app(settings)) for one in capabilities_of(settings)
    ]

    @asynccontextmanager
    async def lives(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _prefix, app in mounts:
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    return Starlette(routes=[Mount(prefix, app) for prefix, app in mounts], lifespan=lives)


@contextmanager
def served(app: ASGIApp, port: int) -> Iterator[None]:
    """Serve an application in a thread of its own while the block lasts."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, name=f"port {port}")
    thread.start()
    try:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not server.started:
            assert thread.is_alive(), f"the server on port {port} did not start"
            assert time.monotonic() < deadline, f"the server on port {port} is late"
            thread.join(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join(_STOPS_WITHIN_S)
        assert not thread.is_alive(), f"the server on port {port} does not stop"
