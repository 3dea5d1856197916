"""The Ray node takes work from other processes, and only from those that hold its token."""

import os
import subprocess
import sys

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
