"""The Ray node takes work from other processes, and only from those that hold its token."""

import os
import subprocess
import sys

import pytest

from cluster import ray_node
from cluster.errors import PlatformError
from configs.settings import Settings, SettingsError

_USE = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(ray.get(ray.remote(lambda: 21 * 2).remote()))
"""


_KNOCK = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1])
"""


def test_another_process_runs_a_task_on_the_node(ray_address: str):
    done = subprocess.run(
        [sys.executable, "-c", _USE, ray_address], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "42", done.stderr


def test_a_process_without_the_token_is_turned_away(ray_address: str, tmp_path):
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(wrong)}
    done = subprocess.run(
        [sys.executable, "-c", _KNOCK, ray_address],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode != 0
    assert "AuthenticationError" in done.stderr


def test_an_address_without_a_port_is_refused_with_the_settings_name():
    with pytest.raises(SettingsError, match="RECEIPTS_RAY__ADDRESS=auto must be a host and a port"):
        ray_node.address(Settings(ray={"address": "auto"}))


def test_a_cluster_of_your_own_keeps_its_token_and_its_ports():
    joined = ray_node.node_environment(Settings(ray={"address": "ray-head:6379"}))
    assert not any(name.startswith(("RAY_AUTH", "RAY_TMPDIR", "RAY_SERVE_HAPROXY_STATS")) for name in joined)
    assert joined["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_two_nodes_on_one_machine_share_no_port():
    def ports(port: int) -> set[int]:
        environment = ray_node.node_environment(Settings(ray={"port": port}))
        return {int(value) for name, value in environment.items() if name.endswith("_PORT")}

    assert ports(6399).isdisjoint(ports(6410))


def test_a_temp_directory_too_long_for_rays_sockets_is_refused_with_the_settings_name(tmp_path):
    settings = Settings(state_dir=tmp_path, ray={"temp_dir": "/tmp/" + "x" * 60})
    with pytest.raises(PlatformError, match=r"RECEIPTS_RAY__TEMP_DIR=.* is too long"):
        ray_node.start(settings)
