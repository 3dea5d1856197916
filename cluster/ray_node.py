"""One Ray node on this machine, loopback only, set so that Serve runs behind HAProxy."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from pathlib import Path

from cluster.credentials import RAY_TOKEN, ensure_credentials, write_private
from cluster.errors import PlatformError
from cluster.processes import find_process, last_words, log_file, start_process, stop_process
from cluster.serve_variables import serve_variables
from configs.settings import Settings, SettingsError
from receipts.log_files import put_aside

NAME = "ray"
SOCKET_PATH_BYTES = 107  # what the kernel takes as the path of a Unix socket
_HOST = "127.0.0.2"  # loopback; Ray replaces 127.0.0.1 by an outer address, which may change or be out of reach
_START_S = 120  # importing Ray alone takes 10 s on a busy small machine
_GRACE_S = 15
_POLL_S = 0.2
_STARTED = "Ray runtime started"
_SESSION_BYTES = 66  # session_2026-11-23_19-26-55_123456_1234567/sockets/plasma_store.12345
_REPLICA_PORTS = 100


def address(settings: Settings) -> str:
    """Return the address for `ray.init(address=...)`: that of the settings, or the node that `start` runs here.

    Raises SettingsError on an address without a port, which nobody could ask for its health.
    """
    given = settings.ray.address
    if given is not None and not given.rpartition(":")[2].isdigit():
        raise SettingsError(f"RECEIPTS_RAY__ADDRESS={given} must be a host and a port, such as ray-head:6379.")
    return given or f"{_HOST}:{settings.ray.port}"


def node_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that every process of the node and every process that joins it must have.

    Ray reads them when it is first imported, so a command that talks to Ray merges them before its first
    `import ray`: `os.environ.update(node_environment(settings))`, then `ray.init(address=address(settings))`.
    Workers and replicas inherit those of the node. The ports of Serve's inner parts follow `ray.port` (to
    `ray.port + 7`), so that several nodes can run on one machine. With `ray.address` set, the cluster's token and
    ports are its operator's affair: the caller's own RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH hold.
    """
    own = {} if settings.ray.address is not None else _own_environment(settings)
    return own | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_USE_DATASOURCE_V2": "0",  # its read_parquet costs seconds a call
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # keeps Ray from warning about it in every process
        # Four threads of HAProxy on two cores would only contend.
        **serve_variables(1 if _cpus(settings) <= 4 else 2, haproxy_connections()),
    }


def start(settings: Settings) -> None:
    """Start the node unless it runs; returns when it takes work. With `ray.address` set there is nothing to start.

    Raises PlatformError with Ray's own last words.
    """
    if settings.ray.address is not None or is_running(settings):
        return
    stop(settings)  # what a node that died left behind
    _check(settings)
    temp = Path(settings.ray.temp_dir)
    temp.mkdir(parents=True, exist_ok=True, mode=0o700)
    (temp / "haproxy").mkdir(exist_ok=True, mode=0o700)
    token = ensure_credentials(settings)[RAY_TOKEN]
    write_private(_token_file(settings), token.encode())
    put_aside(log_file(settings, NAME), settings.logs)  # before its size is taken
    seen = _log_size(settings)
    process = start_process(settings, NAME, _command(settings), node_environment(settings))
    deadline = time.monotonic() + _START_S
    while _STARTED not in _said_since(settings, seen):
        if not process.is_running() or find_process(settings, NAME) is None:
            raise PlatformError(f"Ray did not start: {last_words(settings, NAME)} (log: {log_file(settings, NAME)})")
        if time.monotonic() > deadline:
            stop(settings)
            raise PlatformError(f"Ray did not start within {_START_S} s; see {log_file(settings, NAME)}.")
        time.sleep(_POLL_S)


def stop(settings: Settings) -> None:
    """Stop the node's processes and no others: `ray stop` would end every Ray cluster on the machine."""
    stop_process(settings, NAME, _GRACE_S)


def is_running(settings: Settings) -> bool:
    """Say whether the node lives and its control store accepts connections."""
    if settings.ray.address is None and find_process(settings, NAME) is None:
        return False
    host, _, port = address(settings).removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2):  # 2 s: a stopped machine must not hang `status`
            return True
    except OSError:
        return False


def haproxy_connections() -> int:
    """Return how many connections HAProxy could hold: it takes 2.5 file descriptors each and refuses to start short."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else (most - 200) * 2 // 5


def _own_environment(settings: Settings) -> dict[str, str]:
    """Return what only our own node needs: its token, its places and ports that no second node can share."""
    base = settings.ray.port
    replicas = 24_000 + base % 80 * _REPLICA_PORTS  # below the kernel's ephemeral ports, above Ray's workers
    temp = Path(settings.ray.temp_dir).resolve()
    haproxy = temp / "haproxy"
    return {
        "RAY_TMPDIR": str(temp),  # also where the "current cluster" is noted: a bare ray.init() elsewhere stays free
        "RAY_AUTH_MODE": "token",  # Ray's ports listen on every interface, also on a loopback node
        "RAY_AUTH_TOKEN_PATH": str(_token_file(settings)),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # the only node has nobody to hand its work to
        "RAY_SERVE_HAPROXY_STATS_PORT": str(base + 1),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(base + 2),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(base + 3),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(base + 4),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(replicas),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(replicas + _REPLICA_PORTS - 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",  # one machine: no distant proxy routes by an old list
    }


def _command(settings: Settings) -> list[str]:
    # --block makes one process the parent of all others: when it ends, its reaper ends them.
    return [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        f"--node-ip-address={_HOST}",
        f"--port={settings.ray.port}",
        f"--ray-client-server-port={settings.ray.port + 5}",
        f"--dashboard-agent-listen-port={settings.ray.port + 6}",
        f"--metrics-export-port={settings.ray.port + 7}",
        f"--num-cpus={_cpus(settings)}",
        f"--object-store-memory={settings.ray.object_store_bytes}",
        f"--temp-dir={Path(settings.ray.temp_dir).resolve()}",
        "--include-dashboard=false",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-color=false",
    ]


def _check(settings: Settings) -> None:
    temp = str(Path(settings.ray.temp_dir).resolve())
    if len(temp) + _SESSION_BYTES > SOCKET_PATH_BYTES:
        longest = SOCKET_PATH_BYTES - _SESSION_BYTES
        raise PlatformError(
            f"RECEIPTS_RAY__TEMP_DIR={temp} is too long for Ray's sockets; use at most {longest} bytes."
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, settings.ray.port))
        except OSError:
            raise PlatformError(
                f"Port {settings.ray.port} is taken by another program; set RECEIPTS_RAY__PORT to a free one."
            ) from None


def _cpus(settings: Settings) -> int:
    return settings.ray.num_cpus or len(os.sched_getaffinity(0))


def _token_file(settings: Settings) -> Path:
    return settings.state_dir.resolve() / "keys" / "ray-token"


def _log_size(settings: Settings) -> int:
    log = log_file(settings, NAME)
    return log.stat().st_size if log.is_file() else 0


def _said_since(settings: Settings, offset: int) -> str:
    with log_file(settings, NAME).open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
