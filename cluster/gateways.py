"""Fleets of gateways on the nodes of a Ray cluster: one actor a node, which Ray starts again where it died."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.errors import PlatformError
from cluster.fleet import Fleet, Kind
from cluster.fleet_files import fleet_file, heed_signals, read_fleet
from cluster.health import reachable
from configs.settings import Settings, load_settings
from receipts.logs import start_replica_logs

NAME = "gateways"  # of a node's fleet


def node_fleet(settings: Settings, name: str = NAME) -> Fleet:
    """Return the fleet of this node, not yet running. Raises PlatformError when somebody listens on the port."""
    _require_free(settings)
    kind = Kind("gateway", NAME, gateway_command, show=lambda slots: write_targets(settings, slots))
    return Fleet(settings.ingest.gateways, kind, fleet_file(settings, name))


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
    fleet = node_fleet(settings)
    fleet.run(heed_signals(fleet.roll))


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
