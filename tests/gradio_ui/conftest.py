"""The portal before a real API: the serving applications and the portal under uvicorn, on a private database."""

from __future__ import annotations

import importlib
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from cluster import seeds
from cluster.deploy import capabilities_of
from configs.settings import Settings
from gradio_ui.asgi import build_app
from tests.gradio_ui.browsing import FLAGS, WAIT_MS, Watch

PICTURES = Path(__file__).parents[2] / "docs" / "portal"
_STARTS_WITHIN_S = 120  # the search application loads its language model first
_STOPS_WITHIN_S = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that remakes the pictures of the documentation."""
    parser.addoption("--screenshots", action="store_true", help="remake the pictures under docs/portal")


@pytest.fixture
def portal(settings: Settings) -> Iterator[Settings]:
    """The portal and everything behind it, running; with the principals of a development platform."""
    yield from running(settings, {one.name for one in capabilities_of(settings)})


@pytest.fixture
def doors(settings: Settings) -> Iterator[Settings]:
    """The portal with sign-in and receipts but without search, which takes seconds to load its model."""
    yield from running(settings, {"auth", "lookup", "customers", "context"})


def running(settings: Settings, names: set[str]) -> Iterator[Settings]:
    assert settings.database.dsn is not None
    seeds.plant(settings.database.dsn.get_secret_value())
    api, pages = partial(api_of, settings, names), partial(build_app, settings)
    with served(api, settings.serve.port), served(pages, settings.portal.port):
        yield settings


def api_of(settings: Settings, names: set[str]) -> ASGIApp:
    """Return serving applications under the prefixes that they are deployed with."""
    found = (one for one in capabilities_of(settings) if one.name in names)
    wanted = sorted(found, key=lambda one: -len(one.prefix))  # the longest prefix has a request, as with Ray Serve
    mounts = [(one.prefix, importlib.import_module(one.module).build_app(settings)) for one in wanted]

    @asynccontextmanager
    async def lives(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _prefix, app in mounts:
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    return Starlette(routes=[Mount(prefix, app) for prefix, app in mounts], lifespan=lives)


@contextmanager
def served(build: Callable[[], ASGIApp], port: int) -> Iterator[None]:
    """Serve an application, built where it runs, in a thread of its own while the block lasts."""
    config = uvicorn.Config(
        build, factory=True, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
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


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    """A browser that remembers nothing."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: run `make chromium`, or `apt-get install chromium`.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        made = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US", color_scheme="light")
        made.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        made.grant_permissions(["clipboard-read", "clipboard-write"])
        yield made
        browser.close()


@pytest.fixture
def watch(context: BrowserContext) -> Watch:
    return Watch(context)


@pytest.fixture
def picture(request: pytest.FixtureRequest):
    """Keep a picture for the documentation, when asked to with --screenshots or when there is none yet."""

    def keep(page: Page, name: str) -> None:
        target = PICTURES / f"{name}.png"
        if request.config.getoption("--screenshots", default=False) or not target.exists():
            page.evaluate("document.fonts.ready")
            page.screenshot(path=target, animations="disabled", caret="hide")

    return keep
