"""Processes are killed at random moments under load, and everything acknowledged is there exactly once."""

import pytest

from tests.drills.conftest import STORES

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

_KILLS = 4


def test_a_gateway_that_is_killed_loses_and_doubles_nothing(rig):
    rig.start(STORES)
    for _ in range(_KILLS):
        rig.soon()
        rig.gateway.kill()
        rig.gateway.start()
    rig.soon()
    rig.conclude()
    assert sum(till.broken for till in rig.tills) >= _KILLS


def test_a_drainer_that_is_killed_loses_and_doubles_nothing(rig):
    rig.start(STORES)
    for _ in range(_KILLS):
        rig.soon()
        rig.drainer.kill()
        rig.drainer.start()
    rig.soon()
    rig.conclude()


@pytest.mark.parametrize("point", ["file written", "committed"])
def test_a_drainer_that_dies_at_its_worst_moment_loses_and_doubles_nothing(rig, point):
    rig.start(STORES)
    rig.soon()
    for count in (1, 2, 4):
        rig.let_a_drainer_die(point, count)
    rig.start_drainer()
    rig.soon()
    rig.conclude()


def test_a_postgres_that_is_killed_loses_and_doubles_nothing(rig):
    rig.start(STORES)
    for _ in range(3):
        rig.soon()
        rig.kill_postgres()
        rig.start_postgres()
    rig.soon()
    rig.conclude()
