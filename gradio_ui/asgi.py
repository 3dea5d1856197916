"""The portal as an ASGI application: its own few routes, the Gradio pages, and the doorway before both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request
from psycopg import OperationalError
from starlette.responses import Response

from configs.settings import Settings, SettingsError
from gradio_ui import downloads, signing
from gradio_ui.api import Api, open_client
from gradio_ui.assets import Assets
from gradio_ui.auth import SignIn
from gradio_ui.doorway import Doorway, Portal, find_signed_in, unavailable
from gradio_ui.navigation import ADMIN, FRAUD, PRIVACY, REP, SUPERVISOR, Page
from gradio_ui.pages import admin, fraud, privacy, rep, supervisor
from gradio_ui.theme import portal_theme
from gradio_ui.visits import Visits
from receipts.database import DatabaseRole, open_pool
from receipts.tracing import open_tracing

# Each page and what makes it.
_PAGES = (
    (REP, rep.build),
    (SUPERVISOR, supervisor.build),
    (FRAUD, fraud.build),
    (PRIVACY, privacy.build),
    (ADMIN, admin.build),
)
ROUTES = (*signing.ROUTES, *downloads.ROUTES)
# The path of each page and what it takes to open it.
MOUNTS = {page.path: page.permission for page, _ in _PAGES}
_SESSIONS_IN_MEMORY = 500  # about 53 KB each; Gradio drops the oldest, and our handlers keep nothing there
_HEAD = (
    '<meta name="color-scheme" content="light dark"><link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
    '<link rel="stylesheet" href="/static/app.css"><link rel="modulepreload" href="/static/asking.js">'
    '<script type="module" src="/static/{script}.js"></script>'
)


def build_app(settings: Settings) -> Visits:
    """Return the portal. Connections open with the application's lifespan, not here.

    Call it in a running event loop, as uvicorn does with a factory: without one Gradio makes loops and leaks them.
    """
    pool = open_pool(settings, DatabaseRole.PORTAL)
    client = open_client(settings.portal)
    tracing = open_tracing(settings, "portal")
    public_url = settings.portal.public_url.rstrip("/")
    # __Host- binds a cookie to this host and to TLS.
    cookie = "__Host-receipts" if public_url.startswith("https://") else "receipts_session"

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await pool.open()
        try:
            yield
        finally:
            await client.aclose()
            await pool.close()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    app = FastAPI(
        routes=list(ROUTES),
        lifespan=lifespan,
        exception_handlers={OperationalError: _unavailable},
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    assets = Assets(Path(str(resources.files("gradio_ui") / "static")))
    app.mount("/static", assets)
    for page, build in _PAGES:
        _mount(app, page, build())
    most_bytes = settings.portal.max_body_bytes
    portal = Portal(SignIn(settings, pool), Api(client, tracing), cookie, public_url, assets, most_bytes)
    return Visits(Doorway(app, portal, MOUNTS), tracing, [route.path for route in ROUTES], [*MOUNTS, "/static"])


def _mount(app: FastAPI, page: Page, blocks: gr.Blocks) -> None:
    """Mount a page with every default that would leak personal data switched off."""
    if blocks.vibe_mode:
        raise SettingsError("GRADIO_VIBE_MODE is set, which lets anyone signed in run code; unset it.")
    blocks.state_session_capacity = _SESSIONS_IN_MEMORY
    gr.mount_gradio_app(
        app,
        blocks,
        page.path,
        auth_dependency=_principal_id,
        run_history=False,  # it would keep every question and answer in the browser's storage
        show_error=False,
        enable_monitoring=False,
        max_file_size="1kb",
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=portal_theme(),
        head=_HEAD.format(script=page.script),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return unavailable()


async def _principal_id(request: Request) -> str | None:
    """Ask again behind the doorway: whoever gets past it without a session gets nothing from Gradio."""
    session = await find_signed_in(request)
    return None if session is None else session.principal_id
