"""Postgres or Bronze is away while tills go on: what is acknowledged is there once, and nothing else."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.conftest import STORES
from tests.drills.full_disk import filled, limited, mount, unmount
from tests.drills.rig import Rig
from tests.drills.worker import until

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

_GOES_ON = 200  # receipts acknowledged in an outage that nobody at a till may notice


def test_tills_are_acknowledged_through_the_outbox_while_bronze_cannot_be_written(rig, outage_s):
    rig.start(STORES)
    rig.soon()
    with rig.without_bronze():
        rig.await_acks(_GOES_ON)
        rig.endure(outage_s)
        assert rig.waiting() > 0
    rig.soon()
    rig.conclude()
    assert rig.direct_commits() == 0


@pytest.fixture
def volume(rig: Rig) -> Iterator[Path | None]:
    """A volume of its own for Bronze, or none where this process may not mount one."""
    rig.bronze.mkdir(parents=True)
    mounted = mount(rig.bronze)
    try:
        yield rig.bronze if mounted else None
    finally:
        rig.end()
        if mounted:
            unmount(rig.bronze)


def test_a_full_volume_under_bronze_stops_nobody_and_leaves_nothing_half_written(rig, volume, outage_s):
    rig.start(STORES)
    rig.soon()
    full = limited(rig.gateway.pid, rig.drainer.pid) if volume is None else filled(volume)
    reason = os.strerror(errno.EFBIG if volume is None else errno.ENOSPC)
    with full:
        rig.await_acks(_GOES_ON)
        rig.endure(outage_s)
        assert rig.waiting() > 0
        # Polars says this of what it cannot write; of a limit on file sizes nothing else is known.
        reasons = (reason, "File out of specification") if volume is None else (reason,)
        told = rig.drainer.log.read_text
        until(lambda: any(one in told() for one in reasons), "the drainer says why Bronze takes nothing", rig.check)
    rig.soon()
    rig.conclude()
    assert rig.direct_commits() == 0


def test_writes_to_bronze_that_end_half_way_stop_nobody_and_leave_nothing_half_written(rig, outage_s):
    rig.start(STORES)
    rig.soon()
    with limited(rig.gateway.pid, rig.drainer.pid):
        rig.await_acks(_GOES_ON)
        rig.endure(outage_s)
        assert rig.waiting() > 0
    rig.soon()
    rig.conclude()
    assert rig.direct_commits() == 0


def test_tills_are_acknowledged_through_bronze_while_postgres_is_down(rig, outage_s):
    rig.start(STORES)
    rig.soon()
    with rig.without_postgres():
        rig.await_acks(_GOES_ON)
        rig.endure(outage_s)
        rig.await_acks(1)
        assert rig.direct_commits() > 1  # nothing else acknowledged them
    rig.soon()
    rig.conclude()


def test_a_gateway_that_is_killed_while_postgres_is_down_loses_and_doubles_nothing(rig):
    rig.start(STORES)
    rig.soon()
    with rig.without_postgres():
        for _ in range(2):
            rig.soon()
            rig.gateway.kill()
            rig.gateway.start()
        rig.soon()
        assert rig.direct_commits() >= 3  # one at least in each gateway's life
    rig.soon()
    rig.conclude()


def test_nothing_is_acknowledged_and_nothing_lost_while_both_stores_are_away(rig, outage_s):
    rig.start(STORES)
    rig.soon()
    with rig.without_postgres(), rig.without_bronze():
        rig.await_holding()
        acked = rig.history.acked
        rig.endure(outage_s)
        assert rig.history.acked == acked
    rig.soon()
    rig.conclude()


def test_what_a_dying_drainer_left_in_bronze_is_not_written_again_while_postgres_is_down(rig):
    rig.start(STORES)
    rig.soon()
    rig.let_a_drainer_die("committed", 1)
    rig.kill_postgres()  # with groups under way whose outcome nobody knows
    rig.await_acks(_GOES_ON)
    assert rig.direct_commits() > 0
    rig.start_postgres()
    rig.start_drainer()
    rig.soon()
    rig.conclude()
