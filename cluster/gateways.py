"""Fleets of gateways on the nodes of a Ray cluster: one actor a node, which Ray starts again where it died."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.errors import PlatformError
from cluster.fleet import Fleet
from cluster.health import reachable
from configs.settings import Settings, load_settings
from receipts.logs import start_replica_logs

_POLL_S = 0.2
_ROLLED_S = 180.0  # one gateway after another, each given a minute to start


def fleet_file(settings: Settings, name: str = "gateways") -> Path:
    """Return where a fleet says who its members are: `state_dir/run/<name>.json`."""
    return settings.state_dir.resolve() / "run" / f"{name}.fleet.json"


def node_fleet(settings: Settings, name: str = "gateways") -> Fleet:
    """Return the fleet of this node, not yet running. Raises PlatformError when somebody listens on the port."""
    _require_free(settings)
    return Fleet(
        settings.ingest.gateways,
        gateway_command,
        fleet_file(settings, name),
        lambda slots: write_targets(settings, slots),
    )


def targets_file(settings: Settings) -> Path:
    """Return where Prometheus finds this node's gateways (file_sd): `state_dir/run/gateways.targets.json`."""
    return settings.state_dir.resolve() / "run" / "gateways.targets.json"


def write_targets(settings: Settings, slots: Sequence[int]) -> None:
    """Tell Prometheus in which slots gateways serve metrics, whole or not at all; no file where there are none."""
    path = targets_file(settings)
    if not slots:
        path.unlink(missing_ok=True)
        return
    host, first = reachable(settings.ingest.metrics_host), settings.ingest.metrics_port
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps([{"targets": [f"{host}:{first + slot}" for slot in slots]}]))
    unfinished.chmod(0o644)  # Prometheus is another user; nothing here is secret
    unfinished.replace(path)


def gateway_command(slot: int, lifeline: int) -> Sequence[str]:
    """Return how a gateway of a fleet is started."""
    options = ("--slot", str(slot), "--lifeline", str(lifeline))
    return (sys.executable, "-m", "cluster.commands", "ingest", "gateway", *options)


def run_fleet(settings: Settings) -> None:
    """Run this node's fleet until SIGTERM or SIGINT; SIGHUP replaces every gateway, one after another."""
    stop = threading.Event()
    fleet = node_fleet(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: fleet.roll())
    fleet.run(stop)


def roll_here(settings: Settings, pid: int) -> dict[str, Any]:
    """Have the fleet of process `pid` replace its gateways and return what it says when it is done.

    Raises PlatformError when it does not get there: the old gateways then go on.
    """
    before = read_fleet(settings)["rolls"]
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + _ROLLED_S
    while (told := read_fleet(settings))["rolls"] == before:
        if time.monotonic() > deadline:
            raise PlatformError(
                f"The gateways were not replaced within {_ROLLED_S:.0f} s; see the log of the gateways."
            )
        time.sleep(_POLL_S)
    return told


def read_fleet(settings: Settings, name: str = "gateways") -> dict[str, Any]:
    """Return what this node's fleet says of itself: wanted, rolls, rolling, gateways (slot, pid, state).

    Raises PlatformError when no fleet runs here.
    """
    try:
        return json.loads(fleet_file(settings, name).read_text())
    except FileNotFoundError:
        raise PlatformError("No gateways run here; start them with `receipts up`.") from None


def _require_free(settings: Settings) -> None:
    """Refuse a port that another program, or another platform's gateways, take: tills would reach either by chance."""
    host, port = settings.ingest.host, settings.ingest.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((reachable(host) if host == "::" else host, port))
        except OSError:
            raise PlatformError(
                f"The gateways cannot listen on {host}:{port}: is another one running? "
                "Set RECEIPTS_INGEST__PORT to a free port."
            ) from None


class NodeFleet:
    """The fleet of one node as a Ray actor. Settings and secrets are those of the node it runs on."""

    def __init__(self) -> None:
        self._settings = load_settings()
        start_replica_logs(self._settings, "gateways")
        self._name = f"gateways-{os.getpid()}"
        self._fleet = node_fleet(self._settings, self._name)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fleet.run, args=(self._stop,), name="gateways")
        self._thread.start()

    def told(self) -> dict[str, Any]:
        """Return what the fleet says of itself."""
        return read_fleet(self._settings, self._name)

    def roll(self) -> None:
        """Start replacing every gateway."""
        self._fleet.roll()

    def stop(self) -> None:
        """Let every gateway finish; returns when they are gone."""
        self._stop.set()
        self._thread.join()
