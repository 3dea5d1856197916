"""`receipts up` and `down`, as a user runs them: repeatable, interruptible, and touching only what is theirs."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster import parts, postgres, postgres_home, processes, ray_node
from cluster.errors import PlatformError
from cluster.supervision import Step, bring_down, bring_up, choose_parts
from configs.settings import Settings
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_ports
from tests.fixtures.ray import free_range

_SOME = "postgres,ray"  # the two with the most inside; the others are ordinary processes


@pytest.fixture
def platform() -> Iterator[Settings]:
    """Settings of a platform that has never been up; whatever the test started is stopped."""
    root = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))  # short: Ray's sockets live below it
    root.chmod(0o755)
    (database, gateway, serve, portal) = free_ports(4)
    settings = Settings(
        state_dir=root / "state",
        database={"embedded_port": database},
        ingest={"port": gateway},
        serve={"port": serve},
        portal={"port": portal},
        auth={"development_provider": True},
        ray={
            "port": free_range(),
            "num_cpus": 1,
            "object_store_bytes": 96 * 1024 * 1024,
            "temp_dir": str(root / "ray"),
        },
    )
    yield settings
    bring_down(settings, choose_parts(None), lambda *_: None)
    postgres_home.remove_home(settings)
    shutil.rmtree(root)


def test_up_is_repeatable_and_down_leaves_nothing_of_its_own_and_touches_nothing_else(platform: Settings):
    with subprocess.Popen(["sleep", "600"]) as bystander:
        _run(platform, "up", "--only", _SOME)
        first = _processes(platform)
        assert set(first) == {"postgres", "ray"}
        _run(platform, "up", "--only", _SOME)
        assert _processes(platform) == first
        family = [one for process in first.values() for one in (process, *process.children(recursive=True))]
        _run(platform, "down")
        assert [one for one in family if processes.is_alive(one)] == []
        _run(platform, "down")
        assert bystander.poll() is None
        bystander.kill()


def test_up_that_is_killed_at_any_moment_is_finished_by_the_next(platform: Settings):
    chance = random.Random(20261123)
    for _ in range(3):
        with subprocess.Popen(
            _command("up", "--only", _SOME), env=_environment(platform), stderr=subprocess.PIPE
        ) as up:
            try:
                up.wait(chance.uniform(0.3, 5))
            except subprocess.TimeoutExpired:
                up.send_signal(signal.SIGKILL)
    _run(platform, "up", "--only", _SOME)
    assert postgres.is_running(platform)
    assert ray_node.is_running(platform)
    assert len(_nodes(platform)) == 1


def test_what_died_is_started_again_and_the_rest_is_left(platform: Settings):
    _run(platform, "up", "--only", _SOME)
    before = _processes(platform)
    before["ray"].kill()
    psutil.wait_procs([before["ray"]], timeout=10)
    _run(platform, "up", "--only", _SOME)
    after = _processes(platform)
    assert after["postgres"] == before["postgres"]
    assert after["ray"] != before["ray"]
    assert len(_nodes(platform)) == 1


def test_status_tells_what_is_down_without_failing(platform: Settings):
    done = _run(platform, "status", "--json", expect=1)
    told = json.loads(done.stdout)
    assert not told["healthy"]
    assert {part["state"] for part in told["parts"]} == {"down"}
    assert told["postgres"] is None
    assert told["lake"]["bronze.receipts"] is None


def test_two_callers_at_once_are_kept_apart(platform: Settings):
    lock = platform.state_dir / "run" / "up.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = _run(platform, "up", "--only", "postgres", expect=1)
        assert done.stderr.strip() == (
            "receipts: Another `receipts up`, `down` or `replicas` is at work; wait until it has ended."
        )


def test_an_unknown_part_is_named_with_those_there_are():
    with pytest.raises(PlatformError, match="no part 'databse'; the parts are postgres, gateway, drainer, ray"):
        choose_parts(["databse"])


def test_a_part_that_cannot_start_says_why_in_one_sentence(platform: Settings):
    # No database was prepared, so nobody has made the secrets of the gateway.
    done = _run(platform, "up", "--only", "gateway", expect=1)
    assert "gateway ended: receipts: RECEIPTS_INGEST__TOKEN_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_part_is_restarted_when_the_ground_it_stands_on_was(platform: Settings):
    told: list[tuple[str, Step]] = []
    alive = {"ground": False, "house": True, "garden": True}

    def part(name: str, *needs: str) -> parts.Part:
        return parts.Part(
            name, name, lambda _: alive.update({name: True}), lambda _: alive[name], lambda _: None, needs
        )

    bring_up(
        platform,
        [part("ground"), part("house", "ground"), part("garden")],
        lambda one, step: told.append((one.name, step)),
    )
    assert told == [
        ("ground", Step.STARTING),
        ("ground", Step.READY),
        ("house", Step.STARTING),
        ("house", Step.READY),
        ("garden", Step.UNTOUCHED),
    ]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cluster.commands", *arguments]


def _environment(settings: Settings) -> dict[str, str]:
    ours = environment_of(settings)
    return {key: value for key, value in ours.items() if not key.startswith("RAY_")}


def _run(settings: Settings, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        _command(*arguments), env=_environment(settings), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == expect, done.stderr
    return done


def _processes(settings: Settings) -> dict[str, psutil.Process]:
    found = {part.name: parts.process_of(settings, part.name) for part in parts.PARTS}
    return {name: process for name, process in found.items() if process is not None}


def _nodes(settings: Settings) -> list[int]:
    """Return the sessions in which a control store of this platform's Ray runs."""
    sessions = []
    for process in psutil.process_iter():
        try:
            if process.name() == "gcs_server" and settings.ray.temp_dir in " ".join(process.cmdline()):
                sessions.append(os.getsid(process.pid))
        except (psutil.Error, OSError):
            continue
    return sessions
