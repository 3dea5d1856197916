"""The replicas commands: what each prints, and that a mistake is one sentence."""

import json
import subprocess
import sys

from configs.settings import Settings
from tests.fixtures.environment import environment_of

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


def _run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster.commands", "replicas", *arguments]
    environment = environment_of(settings)
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False)


def test_servers_are_listed_handed_over_and_removed_by_command(one_standby: Settings):
    listed = _run(one_standby, "list", "--json")
    assert [(one["name"], one["role"], one["state"]) for one in json.loads(listed.stdout)] == [
        ("postgres", "primary", "running"),
        ("replica1", "standby", "streaming"),
    ]
    refused = _run(one_standby, "promote")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "receipts: The primary postgres lives" in refused.stderr
    done = json.loads(_run(one_standby, "promote", "--switchover", "--json").stdout)
    assert (done["primary"], done["before"], done["planned"]) == ("replica1", "postgres", True)
    assert "replica1 is no standby; known: postgres." in _run(one_standby, "remove", "replica1").stderr
    left = json.loads(_run(one_standby, "remove", "postgres", "--json").stdout)
    assert [one["name"] for one in left] == ["replica1"]


def test_a_server_of_ones_own_is_not_ours_to_replicate(settings: Settings):
    for command in (("add",), ("list",), ("promote",), ("rejoin", "replica1")):
        refused = _run(settings, *command)
        assert refused.returncode == 1
        assert "RECEIPTS_DATABASE__READ_DSN" in refused.stderr
