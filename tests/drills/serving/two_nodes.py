"""Two Ray nodes on one machine, each with a proxy and replicas of its own, of which one may die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.processes import find_process, stop_process
from cluster.ray_node import node_environment
from configs.settings import Settings
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_ports
from tests.fixtures.ray import free_range
from tests.fixtures.ray_cluster import start_node

HEAD, SECOND = "127.0.0.6", "127.0.0.7"  # two hosts of the loopback network
_GRACE_S = 15
_LAST = 3_000  # characters of an error that a failure shows
_PROGRAM = Path(__file__).with_name("deploy_program.py")


@dataclass
class TwoNodes:
    """The cluster: `settings` are of whoever deploys on it, `nodes` whose processes they are."""

    settings: Settings
    nodes: Settings
    second: tuple[list[str], dict[str, str]]

    def deploy(self, *names: str) -> None:
        """Put applications on it, two replicas each."""
        environment = {**environment_of(self.settings), **_token()}
        told = subprocess.run(
            [sys.executable, str(_PROGRAM), *names], env=environment, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr[-_LAST:]

    def replicas(self, node: str) -> list[psutil.Process]:
        """Return the replicas of a node."""
        leader = find_process(self.nodes, node)
        assert leader is not None, f"{node} does not run"
        return [one for one in leader.children(recursive=True) if _title(one).startswith("ray::ServeReplica")]

    def kill_second(self) -> None:
        """End the second node's leading process as a power cut would; Ray's others end with it."""
        leader = find_process(self.nodes, "second")
        assert leader is not None
        (raylet,) = (one for one in leader.children(recursive=True) if Path(_title(one)).name == "raylet")
        raylet.send_signal(signal.SIGKILL)

    def start_second(self) -> None:
        """Start the second node anew, as its supervisor would."""
        stop_process(self.nodes, "second", _GRACE_S)
        start_node(self.nodes, "second", SECOND, *self.second)


@contextmanager
def two_nodes(base: Settings) -> Iterator[TwoNodes]:
    """Run the cluster while the block lasts, for applications with these settings."""
    root = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))  # short: Ray's sockets live below it
    nodes = Settings(state_dir=root / "state")
    head_port, second_port = free_range(), free_range()
    http, metrics, other_http, other_grpc = free_ports(4)
    head = ["--head", f"--port={head_port}", "--include-dashboard=false", f"--temp-dir={root / 'ray'}"]
    head += [f"--dashboard-agent-listen-port={head_port + 6}", f"--ray-client-server-port={head_port + 5}"]
    second = [f"--address={HEAD}:{head_port}", f"--dashboard-agent-listen-port={second_port + 6}"]
    environment = _environment(root, "second", second_port) | {
        "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(other_http),
        "RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(other_grpc),
    }
    key = base.state_dir / "keys" / "development-issuer.pem"
    settings = base.model_copy(
        update={
            "serve": base.serve.model_copy(
                update={"host": "0.0.0.0", "port": http, "metrics_port": metrics, "replica_cpus": 1}  # one a node
            ),
            "ray": base.ray.model_copy(update={"address": f"{HEAD}:{head_port}"}),
            "auth": base.auth.model_copy(update={"development_provider": False, "signing_key_file": key}),
        }
    )
    try:
        start_node(nodes, "head", HEAD, head, _environment(root, "head", head_port))
        start_node(nodes, "second", SECOND, second, environment)
        yield TwoNodes(settings, nodes, (second, environment))
    finally:
        for name in ("second", "head"):
            stop_process(nodes, name, _GRACE_S)
        shutil.rmtree(root, ignore_errors=True)


def _environment(root: Path, name: str, port: int) -> dict[str, str]:
    """Return what a node on a host of its own has: only the machine is shared, so each has ports and places."""
    place = root / name
    (place / "haproxy").mkdir(parents=True)
    own = node_environment(Settings(state_dir=root / "state", ray={"port": port, "temp_dir": str(place)}))
    return own | {"RAY_TMPDIR": str(root / "ray"), **_token()}


def _token() -> dict[str, str]:
    return {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")}


def _title(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.Error:
        return ""
