"""Processes outlive who started them, are found again, and are stopped with all they started."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cluster import processes
from cluster.errors import PlatformError
from configs.settings import Settings

_STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen(['sleep', '600'])\n"
    "subprocess.Popen(['setsid', 'sleep', '600'])\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"  # the program itself: it lives until it is killed
)


@pytest.fixture
def place(tmp_path: Path):
    """Settings of a private state directory; whatever the test left running is stopped."""
    settings = Settings(state_dir=tmp_path)
    yield settings
    processes.stop_process(settings, "one", 0.1)


def test_a_process_is_found_by_its_name_and_gone_after_a_stop(place: Settings):
    started = processes.start_process(place, "one", ["sleep", "600"])
    assert processes.find_process(place, "one") == started
    with pytest.raises(PlatformError, match="one runs already"):
        processes.start_process(place, "one", ["sleep", "600"])
    assert processes.stop_process(place, "one", 5)
    assert processes.find_process(place, "one") is None
    assert not processes.stop_process(place, "one", 5)


def test_it_lives_in_a_session_of_its_own_with_the_environment_it_was_given(place: Settings):
    started = processes.start_process(place, "one", ["sh", "-c", "echo $GIVEN; exec sleep 600"], {"GIVEN": "a b"})
    _wait_for(lambda: processes.last_words(place, "one") == "a b")
    assert os.getsid(started.pid) == started.pid


def test_a_stubborn_process_and_all_its_children_are_killed_after_the_grace(place: Settings):
    started = processes.start_process(place, "one", [sys.executable, "-c", _STUBBORN])
    _wait_for(lambda: processes.last_words(place, "one") == "ready")
    family = [started, *started.children(recursive=True)]
    assert len(family) == 3
    processes.stop_process(place, "one", 0.2)
    assert not any(processes.is_alive(process) for process in family)


def test_what_a_dead_process_left_behind_is_ended_too(place: Settings):
    started = processes.start_process(place, "one", ["sh", "-c", "sleep 600 & echo $!; exec sleep 600"])
    _wait_for(lambda: processes.last_words(place, "one").isdigit())
    child = psutil.Process(int(processes.last_words(place, "one")))
    started.kill()
    _wait_for(lambda: processes.find_process(place, "one") is None)
    assert processes.is_alive(child)
    processes.stop_process(place, "one", 1)
    assert not processes.is_alive(child)


def test_another_process_with_the_same_number_is_neither_found_nor_stopped(place: Settings):
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        record = place.state_dir / "run" / "one.json"
        record.parent.mkdir()
        told = {"name": "one", "pid": other.pid, "created": time.time() - 3600, "command": ["x"]}
        record.write_text(json.dumps(told))
        assert processes.find_process(place, "one") is None
        processes.stop_process(place, "one", 0.1)
        assert other.poll() is None
        other.kill()


def test_nothing_runs_when_the_starter_is_killed_before_it_has_written_the_record(place: Settings):
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from cluster import processes\n"
        "from configs.settings import Settings\n"
        "processes.write_private = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "processes.start_process(Settings(state_dir=Path(sys.argv[1])), 'one', ['touch', sys.argv[2]])\n"
    )
    mark = place.state_dir / "ran"
    done = subprocess.run([sys.executable, "-c", program, str(place.state_dir), str(mark)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert processes.find_process(place, "one") is None
    gone = time.monotonic() + 5
    while any(str(mark) in argument for one in psutil.process_iter() for argument in _command(one)):
        assert time.monotonic() < gone
    assert not mark.exists()


def test_a_process_that_is_run_to_its_end_tells_how_it_ended(place: Settings):
    assert processes.run_process(place, "one", ["sh", "-c", "echo done; exit 3"]) == 3
    assert processes.last_words(place, "one") == "done"
    assert processes.read_record(place, "one") is None


def test_the_last_words_of_a_process_are_the_end_of_its_log(place: Settings):
    assert processes.last_words(place, "one") == "it said nothing"
    processes.start_process(place, "one", ["sh", "-c", "echo 1; echo 2; echo 3; echo 4 >&2"])
    _wait_for(lambda: processes.last_words(place, "one", 2) == "3 / 4")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
