"""Where the fixtures come from: one module for each thing they provide."""

import os
import shutil
import signal
import tempfile
from typing import NoReturn

import hypothesis
import pytest

pytest_plugins = [
    "tests.fixtures.collector",
    "tests.fixtures.database",
    "tests.fixtures.identity_provider",
    "tests.fixtures.object_store",
    "tests.fixtures.ray",
    "tests.fixtures.ray_cluster",
    "tests.fixtures.searching",
    "tests.fixtures.serving",
    "tests.fixtures.sharing",
    "tests.fixtures.standbys",
    "tests.fixtures.tcp_proxy",
]

_MEMORY = "/dev/shm"
_ROOM_BYTES = 6 * 2**30  # a run uses less than one

# Timing says nothing about correctness on a busy machine: neither a slow example nor slow data fails a test.
hypothesis.settings.register_profile("receipts", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("receipts")


def pytest_configure(config: pytest.Config) -> None:
    """Let a run that is asked to end (a time limit, a cancelled job) still stop the servers it started."""
    signal.signal(signal.SIGTERM, _end)
    _work_in_memory()


def _work_in_memory() -> None:
    """Keep what tests write in memory where there is room, also what their processes write.

    A test's database is 1,400 files: copying them took 0.7 s on a virtual disk and 0.03 s in memory.
    """
    if "TMPDIR" not in os.environ and os.path.ismount(_MEMORY) and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt
