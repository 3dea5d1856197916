"""One process of the portal: an event loop that answers, by itself or as one of a fleet behind HAProxy."""

from __future__ import annotations

import socket
from functools import partial

import uvicorn

from configs.settings import Settings
from gradio_ui.asgi import build_app
from ingest.lifeline import Lifeline

_LOOPBACK = "127.0.0.1"


def serve_alone(settings: Settings) -> bool:
    """Serve the portal on its own port until SIGTERM; say whether it ever did."""
    server = uvicorn.Server(_config(settings, settings.portal.host, settings.portal.port))
    server.run()
    return server.started


def serve_member(settings: Settings, slot: int, lifeline: Lifeline) -> bool:
    """Serve the portal on the loopback port of a slot until SIGTERM, or until the fleet ends; say whether it did."""
    server = _Member(_config(settings, _LOOPBACK, settings.portal.process_port + slot), lifeline)
    server.run()
    return server.started


def _config(settings: Settings, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        partial(build_app, settings),
        factory=True,  # built in the server's event loop, which Gradio wants
        host=host,
        port=port,
        log_config=None,  # as every process of ours logs
        access_log=False,  # addresses of pages carry receipt numbers
        server_header=False,
        proxy_headers=False,  # where people come from is in the settings, whatever a request says
        timeout_keep_alive=75,  # longer than a proxy keeps its end, so that it never meets a closed connection
        timeout_graceful_shutdown=10,  # an answer takes milliseconds; what lasts longer is a stream
    )


class _Member(uvicorn.Server):
    """Tells the fleet that it serves, and ends when the fleet does."""

    def __init__(self, config: uvicorn.Config, lifeline: Lifeline) -> None:
        super().__init__(config)
        self._lifeline = lifeline

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._lifeline.tell_ready()
            self._lifeline.watch(self._finish)

    def _finish(self) -> None:
        self.should_exit = True
