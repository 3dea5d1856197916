"""The token endpoint's port, in the gateway's process and with the gateway's certificate."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from configs.settings import IngestSettings
from ingest.certificate import server_context
from receipts.errors import Unavailable

_STOP_S = 2
_MOST_AT_ONCE = 500


class _Server(uvicorn.Server):
    """A server that leaves the process' signals to the gateway and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving_tokens(app: Starlette, settings: IngestSettings, *, shared: bool) -> AsyncGenerator[None]:
    """Serve the application for the length of the block. `shared`: other gateways serve it on the same port.

    Raises Unavailable when the port is taken.
    """
    chain, key = settings.tls_certificate, settings.tls_key
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_STOP_S,
        limit_concurrency=_MOST_AT_ONCE,
        ssl_context_factory=(lambda _config, _default: server_context(chain, key)) if chain and key else None,
    )
    server = _Server(config)
    with _listening(settings, shared=shared) as listening:
        serving = asyncio.create_task(server.serve([listening]), name="token-endpoint")
        try:
            await server.listens.wait()
            yield
        finally:
            server.should_exit = True
            await serving


def _listening(settings: IngestSettings, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = settings.host.strip("[]"), settings.token_port
    try:
        return socket.create_server(address, family=family, backlog=2_048, reuse_port=shared)
    except OSError as error:
        raise Unavailable(
            f"The token endpoint cannot listen on {address[0]}:{address[1]}: {error.strerror}."
        ) from error
