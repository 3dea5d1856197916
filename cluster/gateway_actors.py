"""Where the fleets of gateways meet Ray: one detached actor on every node, found again by its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.deploy import replica_environment
from cluster.errors import PlatformError
from cluster.gateways import NodeFleet
from configs.settings import Settings

_NAMESPACE = "receipts"
_PREFIX = "gateways-"
_DEADLINE_S = 120.0  # a worker process that imports Ray, then gateways, on a machine that is busy
_POLL_S = 0.2

Told = dict[str, Any]


def deploy(settings: Settings, address: str, config_file: Path | None = None) -> dict[str, Told]:
    """Put a fleet on every node that has none and return what all of them say once they serve; safe to repeat.

    A fleet's actor is bound to its node and lives until `undeploy`; Ray starts it again when it dies. Nodes that
    joined later get theirs by calling this again. Raises PlatformError when a fleet does not come up.
    """
    _join(address)
    variables = replica_environment(settings, config_file)
    for node_id in _nodes():
        ray.remote(NodeFleet).options(
            name=_PREFIX + node_id,
            namespace=_NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            num_cpus=0,  # the gateways are processes of their own: what they need is not Ray's to give
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
            runtime_env={"env_vars": variables},
        ).remote()
    return _await("serve", _serves)


def roll(address: str) -> dict[str, Told]:
    """Replace every gateway of every node, one node after another, and return what the fleets say then."""
    _join(address)
    for name, fleet in _fleets().items():
        before: Told = ray.get(fleet.told.remote())
        ray.get(fleet.roll.remote())
        _await("be replaced", lambda told, before=before: told["rolls"] > before["rolls"], only=name)
    return _await("serve", _serves)


def undeploy(address: str) -> int:
    """Let the gateways of all nodes finish and end their actors; return how many nodes that were."""
    _join(address)
    fleets = _fleets()
    ray.get([fleet.stop.remote() for fleet in fleets.values()])
    for fleet in fleets.values():
        ray.kill(fleet, no_restart=True)
    return len(fleets)


def status(address: str) -> dict[str, Told]:
    """Return what every node's fleet says of itself, by node."""
    _join(address)
    return {name.removeprefix(_PREFIX): ray.get(fleet.told.remote()) for name, fleet in _fleets().items()}


def _join(address: str) -> None:
    ray.init(address=address, namespace=_NAMESPACE, log_to_driver=False, ignore_reinit_error=True)


def _nodes() -> list[str]:
    return [node["NodeID"] for node in ray.nodes() if node["Alive"]]


def _fleets() -> dict[str, Any]:
    names = [str(name) for name in list_named_actors()]  # of this namespace
    return {name: ray.get_actor(name) for name in names if name.startswith(_PREFIX)}


def _serves(told: Told) -> bool:
    serving = sum(one["state"] == "serving" for one in told["gateways"])
    return serving >= told["wanted"] and not told["rolling"]


def _await(what: str, done: Callable[[Told], bool], only: str | None = None) -> dict[str, Told]:
    """Ask every fleet until all are done. Raises PlatformError when one is not in time or cannot be asked."""
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        told: dict[str, Told] = {}
        problem = ""
        for name, fleet in _fleets().items():
            if only in (None, name):
                try:
                    told[name.removeprefix(_PREFIX)] = ray.get(fleet.told.remote(), timeout=_DEADLINE_S)
                except (RayError, PlatformError) as error:
                    problem = str(error).strip().splitlines()[-1]
        if told and not problem and all(done(one) for one in told.values()):
            return told
        if time.monotonic() > deadline:
            raise PlatformError(f"The gateways did not {what} within {_DEADLINE_S:.0f} s: {problem or told}")
        time.sleep(_POLL_S)
