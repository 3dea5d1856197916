"""A private, empty platform for a benchmark: own state folder, own ports, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cluster.errors import PlatformError
from configs.settings import Settings, load_settings

_PORT_KEYS = {  # how many consecutive ports each takes
    "RECEIPTS_DATABASE__EMBEDDED_PORT": 1,
    "RECEIPTS_INGEST__PORT": 1,
    "RECEIPTS_INGEST__TOKEN_PORT": 1,
    "RECEIPTS_INGEST__DRAINER_METRICS_PORT": 1,
    "RECEIPTS_INGEST__METRICS_PORT": 1,
    "RECEIPTS_SERVE__PORT": 1,
    "RECEIPTS_SERVE__METRICS_PORT": 1,
    "RECEIPTS_MONITOR__PORT": 1,
    "RECEIPTS_MAIL__METRICS_PORT": 1,
    "RECEIPTS_PORTAL__PORT": 1,
    "RECEIPTS_PORTAL__PROCESS_PORT": 9,  # four processes, and those that take their place
    "RECEIPTS_RAY__PORT": 8,
}
_LOWEST, _HIGHEST = 20_000, 24_000  # above Ray's workers, below its replicas and the kernel's ephemeral ports
_PRESSED_AS = "rep.all,load.program"  # programs: one name asks thousands of times a second
_TRIES = 100  # blocks to look at before giving up: one in thousands is taken


@dataclass(frozen=True, slots=True)
class PrivatePlatform:
    """A platform of a benchmark's own, and the changes to the environment by which `receipts` finds it."""

    settings: Settings
    overrides: Mapping[str, str]

    def start(self, part: str) -> None:
        """Bring one more part up."""
        _receipts(self.overrides, "up", "--only", part)


@contextmanager
def private_platform(parts: Sequence[str]) -> Generator[Settings]:
    """Bring the named parts up on free ports in a temporary folder; yield their settings; take all down again."""
    with extensible_platform(parts) as platform:
        yield platform.settings


@contextmanager
def extensible_platform(
    parts: Sequence[str], changed: Mapping[str, str] = MappingProxyType({})
) -> Generator[PrivatePlatform]:
    """Do the same for a benchmark that starts and stops parts as it goes, or needs other settings than the default."""
    # Short, below /tmp: Ray's and HAProxy's sockets live in it, and a socket's path holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the embedded server may run as another user and must reach its data
        overrides = {**_overrides(Path(folder)), **changed}
        try:
            _receipts(overrides, "up", "--only", ",".join(parts))
            yield PrivatePlatform(load_settings(overrides), overrides)
        finally:
            _receipts(overrides, "down")


def _overrides(folder: Path) -> dict[str, str]:
    ends = itertools.accumulate(_PORT_KEYS.values(), initial=_free_ports(sum(_PORT_KEYS.values())))
    ports = dict(zip(_PORT_KEYS, ends, strict=False))  # the last is the end of all
    api = f"http://127.0.0.1:{ports['RECEIPTS_SERVE__PORT']}"
    return {
        "RECEIPTS_ENVIRONMENT": "embedded",
        "RECEIPTS_STATE_DIR": str(folder / "state"),
        "RECEIPTS_RAY__TEMP_DIR": str(folder),
        "RECEIPTS_AUTH__ISSUER": f"{api}/auth",
        "RECEIPTS_PORTAL__API_URL": api,
        "RECEIPTS_LIMITS__SERVICES": _PRESSED_AS,
        **{key: str(port) for key, port in ports.items()},
    }


def _receipts(overrides: Mapping[str, str], *arguments: str) -> None:
    """Run a `receipts` command with its settings changed, so that its children inherit them."""
    changed = [f"{key}={value}" for key, value in overrides.items()]
    command = ["/usr/bin/env", *changed, sys.executable, "-m", "cluster.commands", *arguments]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise PlatformError(f"`receipts {' '.join(arguments)}` failed on the benchmark's private platform; see above.")


def _free_ports(count: int) -> int:
    """Return the first of so many consecutive ports that are free now.

    They lie below those that the kernel hands to outgoing connections: one of these may take any other port
    between the moment it is chosen and the moment a server binds it.
    """
    for _ in range(_TRIES):
        first = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST - count)
        with ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise PlatformError(f"No {count} consecutive ports are free between {_LOWEST} and {_HIGHEST}.")
