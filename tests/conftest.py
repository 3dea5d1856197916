"""Where the fixtures come from: one module for each thing they provide."""

import signal
from typing import NoReturn

import hypothesis
import pytest

pytest_plugins = [
    "tests.fixtures.database",
    "tests.fixtures.identity_provider",
    "tests.fixtures.object_store",
    "tests.fixtures.ray",
    "tests.fixtures.ray_cluster",
    "tests.fixtures.searching",
    "tests.fixtures.serving",
    "tests.fixtures.standbys",
    "tests.fixtures.tcp_proxy",
]

# Timing says nothing about correctness on a busy machine: neither a slow example nor slow data fails a test.
hypothesis.settings.register_profile("receipts", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("receipts")


def pytest_configure(config: pytest.Config) -> None:
    """Let a run that is asked to end (a time limit, a cancelled job) still stop the servers it started."""
    signal.signal(signal.SIGTERM, _end)


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt
