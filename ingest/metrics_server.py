"""The metrics of a process over HTTP on loopback, for Prometheus to scrape.

A thread of its own serves them, so a gateway (asyncio), a drainer (synchronous) and a till start it alike.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from receipts.errors import Unavailable

_HOST = "127.0.0.1"  # figures tell of a business: whoever scrapes from elsewhere comes through something that asks who
_POLL_S = 0.05  # how long stopping may take; the default of half a second is a quarter of a gateway's grace


class _Handler(WSGIRequestHandler):
    timeout = 1.0  # s: a scraper that connects and says nothing must hold up neither the next one nor a stop

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Log nothing: a line for each scrape tells nobody anything."""


@contextmanager
def serving_metrics(registry: CollectorRegistry, port: int) -> Generator[None]:
    """Serve a registry at http://127.0.0.1:port/metrics for the length of the block.

    Raises Unavailable when the port is taken.
    """
    try:
        server = make_server(_HOST, port, make_wsgi_app(registry), handler_class=_Handler)
    except OSError as error:
        raise Unavailable(
            f"Metrics cannot be served on {_HOST}:{port} ({error.strerror}): is another process of ours running?"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
