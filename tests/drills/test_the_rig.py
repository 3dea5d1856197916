"""A drill whose platform ends by itself fails at once and says how that ended."""

import os
import signal
import socket

import pytest

from tests.drills.conftest import STORES

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

_NEVER = 10_000_000  # receipts that no drill sends


@pytest.mark.parametrize(
    ("name", "number", "end"),
    [("gateway", signal.SIGKILL, "signal SIGKILL"), ("drainer", signal.SIGTERM, "exit code 0")],
)
def test_whoever_waits_for_acks_hears_which_process_ended_by_itself_and_how(rig, name, number, end):
    rig.start(STORES)
    os.kill(getattr(rig, name).pid, number)
    with pytest.raises(AssertionError, match=f"the {name} ended by itself with {end}; it said: "):
        rig.await_acks(_NEVER)
    with pytest.raises(AssertionError, match=f"the {name} ended by itself with {end}; it said: "):
        rig.conclude()


def test_a_gateway_that_cannot_start_is_not_waited_for(rig):
    taken = socket.create_server(("127.0.0.1", rig.settings.ingest.metrics_port))
    with taken, pytest.raises(AssertionError, match=r"the gateway ended by itself with exit code 1; (.|\n)*in use"):
        rig.start(STORES)


def test_a_process_that_the_drill_ended_is_not_missed(rig):
    rig.start(STORES)
    rig.drainer.kill()
    rig.soon()
    rig.drainer.start()
    rig.soon()
    rig.conclude()
