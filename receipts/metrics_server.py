"""The metrics of a process over HTTP, for Prometheus to scrape, and whether it is ready, for who sends it work.

A thread of its own serves them, so that a replica (asyncio), a drainer (synchronous) and a till start it alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from receipts.errors import Unavailable

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
_POLL_S = 0.05  # how long stopping may take; the default of half a second is a quarter of a gateway's grace


class _Handler(WSGIRequestHandler):
    timeout = 1.0  # s: a scraper that connects and says nothing must hold up neither the next one nor a stop

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Log nothing: a line for each scrape tells nobody anything."""


@contextmanager
def serving_metrics(
    registry: CollectorRegistry,
    port: int,
    host: str = LOOPBACK,
    is_ready: Callable[[], bool] = lambda: True,
    poll_s: float = _POLL_S,
) -> Generator[int]:
    """Serve a registry at http://host:port/metrics for the length of the block, and 200 or 503 at /ready.

    `is_ready` is asked in the server's thread. Yields the port: a free one for 0. Raises Unavailable when it is taken.
    """
    with serving(_app(registry, is_ready), port, host, poll_s) as bound:
        yield bound


@contextmanager
def serving(app: WSGIApplication, port: int, host: str = LOOPBACK, poll_s: float = _POLL_S) -> Generator[int]:
    """Serve an application from a thread of its own for the length of the block; as `serving_metrics`.

    The thread wakes every `poll_s` to see whether it should stop.
    """
    try:
        server = make_server(host, port, app, handler_class=_Handler)
    except OSError as error:
        raise Unavailable(
            f"Metrics cannot be served on {host}:{port} ({error.strerror}): is another one running?"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(poll_s,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(registry: CollectorRegistry, is_ready: Callable[[], bool]) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/ready":
            return metrics(environ, start_response)
        status, answer = ("200 OK", b"ready\n") if is_ready() else ("503 Service Unavailable", b"not ready\n")
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]

    return app
