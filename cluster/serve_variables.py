"""What Ray Serve must find in the environment before it starts, and whether it did.

Serve reads these when it is first imported, in its controller, its proxies and every replica; too late, they change
nothing and nobody says so. `receipts up` sets them for the embedded node; elsewhere configs/serve.yaml gives them to
the controller, from where proxies and replicas have them, and the cluster files to every node.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from cluster.errors import PlatformError

_FAST = ("uvloop", "httptools")  # without them uvicorn takes three times the processor time for a request
_KNOWN_TO_REPLICAS = (
    "RAY_SERVE_ENABLE_HA_PROXY",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
)
_MOST_CONNECTIONS = 20_000  # browser tabs and streams count, each for as long as it is open


def serve_variables(threads: int = 2, connections: int = _MOST_CONNECTIONS) -> dict[str, str]:
    """Return the variables. HAProxy gets so many threads and holds at most so many connections, on each node."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": str(threads),
        "RAY_SERVE_HAPROXY_MAXCONN": str(min(connections, _MOST_CONNECTIONS)),
        "RAY_SERVE_HAPROXY_LOG_TARGET": "127.0.0.1:514 sample 1:1000",  # else a datagram for every request
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # counted in Python, one datagram a request, and lossy
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "cluster.entrance:middlewares",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # with 10 s a dead proxy is an outage of half a minute
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # on a busy small machine 5 s kill the proxy before it is up
    }


def require_in_effect(found: Mapping[str, object]) -> None:
    """Raise PlatformError unless Serve took the variables that change what a replica does.

    `found` are the constants that Serve made of its environment. Without the entrance a caller could change how Serve
    treats a request, and without HAProxy every request would pass Python twice more: better no replica than that one.
    """
    wanted = serve_variables()
    missing = [name for name in _KNOWN_TO_REPLICAS if _written(found.get(name)) != wanted[name]]
    if missing:
        raise PlatformError(
            f"Ray Serve was started without {' and '.join(f'{name}={wanted[name]}' for name in missing)}: set what "
            "configs/serve.yaml lists before the Serve controller exists (`serve shutdown`, then deploy), or on every "
            "node before `ray start`."
        )
    slow = [name for name in _FAST if find_spec(name) is None]
    if slow:
        raise PlatformError(f"{' and '.join(slow)} are not installed here; `pip install ray[serve]` brings them.")


def _written(value: object) -> str:
    """Return a constant as its variable is written."""
    return str(int(value)) if isinstance(value, bool) else str(value)
