"""Processes are killed, Postgres fails, lines are cut and replicas replaced while reps ask.

What is answered is on record, once, and within the caller's regions, whatever happens (`ServingRig.load` judges it).
One module, so that what all of it runs on ends with it.
"""

import contextlib
import errno
import os
from dataclasses import replace

import psycopg
import pytest

from cluster import postgres, postgres_server, promotion, standbys
from cluster.processes import is_alive
from loadtest.drill.answers import Kind
from receipts.postgres_servers import FIRST, read_servers
from tests.drills.full_disk import filled, limited
from tests.drills.serving.rig import SERVED, ServingRig
from tests.drills.serving.two_nodes import two_nodes
from tests.drills.serving.volume import on_a_volume
from tests.drills.worker import until
from tests.fixtures.standbys import home, kill

_REPLICA = "ray::ServeReplica:"
# What callers may get while there is no database: a refusal of ours, or nobody's answer any more.
_REFUSALS = {"503", "500 of a proxy", "502 of a proxy", "503 of a proxy", "504 of a proxy"}


def test_a_rolling_redeploy_fails_no_request(serving):
    before = {one.pid for one in serving.processes("ray::ServeReplica:")}
    serving.pool_size += 1  # another setting is another version, as other code is
    with serving.load():
        serving.fault()
        serving.deploy()
        serving.await_steady()
        noticed = serving.noticed("all replicas replaced")
    assert not noticed.failures, noticed
    assert before.isdisjoint(one.pid for one in serving.processes("ray::ServeReplica:"))


def test_a_replica_that_is_killed_costs_only_what_it_had_in_hand(serving):
    with serving.load():
        serving.fault()
        serving.kill(serving.processes(f"{_REPLICA}lookup")[:1])
        serving.await_steady()
        noticed = serving.noticed("one of two lookup replicas killed")
    assert sum(noticed.failures.values()) <= 12, noticed  # no more than there are connections
    assert noticed.silent_s < 5


def test_all_replicas_that_are_killed_come_back(serving):
    with serving.load():
        serving.fault()
        serving.kill([one for name in SERVED for one in serving.processes(f"{_REPLICA}{name}")])
        serving.await_steady()
        noticed = serving.noticed("all replicas killed")
    assert noticed.failures, "nobody noticed"


@pytest.mark.parametrize(
    ("what", "name"),
    [("HAProxy", "haproxy"), ("what manages HAProxy", "ray::HAProxyManager"), ("the Python proxy", "ray::ProxyActor")],
)
def test_a_proxy_that_is_killed_comes_back_by_itself(serving, what, name):
    with serving.load():
        serving.fault()
        serving.kill(serving.processes(name))
        serving.await_steady()
        serving.noticed(f"{what} killed")


def test_a_controller_that_is_killed_fails_no_request(serving):
    with serving.load():
        serving.fault()
        serving.kill(serving.processes("ray::ServeController"))
        serving.await_steady()
        serving.await_steady()
        noticed = serving.noticed("Serve's controller killed")
    assert not noticed.failures, noticed


def test_a_primary_that_is_killed_is_missed_and_comes_back(serving: ServingRig, outage_s):
    with serving.load():
        serving.fault()
        kill(serving.settings, read_servers(serving.settings).primary)
        serving.await_silence()
        serving.endure(max(outage_s - 3, 0))
        serving.start_postgres()
        serving.await_steady()
        noticed = serving.noticed(f"primary killed, away for {outage_s:g} s")
    assert noticed.failures.keys() <= _REFUSALS


def test_a_standby_that_is_killed_is_not_missed(serving: ServingRig):
    with serving.load():
        serving.fault()
        kill(serving.settings, read_servers(serving.settings).standbys[0])
        serving.await_steady()
        noticed = serving.noticed("standby killed")
        serving.start_postgres()
        serving.await_steady()
    assert not noticed.failures, noticed


def test_a_standby_that_takes_over_has_every_look_that_was_answered(serving: ServingRig):
    with serving.load():
        serving.fault()
        kill(serving.settings, read_servers(serving.settings).primary)
        done = promotion.promote(serving.settings)
        serving.await_steady()
        serving.noticed(f"primary lost, standby promoted in {done.seconds} s")
    standbys.rejoin(serving.settings, done.before)
    with serving.load():
        serving.fault()
        done = promotion.promote(serving.settings, FIRST, switchover=True)
        serving.await_steady()
        noticed = serving.noticed(f"primary handed over in {done.seconds} s")
    assert noticed.failures.keys() <= _REFUSALS


def test_a_line_that_is_cut_and_one_that_hangs_are_missed_and_come_back(serving: ServingRig, outage_s):
    assert read_servers(serving.settings).primary.name == FIRST, "the line leads to the first server"
    with serving.load():
        serving.fault()
        serving.line.cut()
        serving.endure(outage_s)
        assert not any(one.is_good for one in serving.answers()[-10:])
        serving.line.restore()
        serving.await_steady()
        serving.noticed(f"line to the primary cut for {outage_s:g} s")
        serving.fault()
        serving.line.freeze()
        serving.endure(outage_s)
        assert not any(one.is_good for one in serving.answers()[-10:])
        serving.line.restore()
        serving.await_steady()
        serving.noticed(f"line to the primary silent for {outage_s:g} s")


def test_a_full_disk_is_missed_and_nothing_is_lost_once_there_is_space(serving: ServingRig, outage_s):
    primary = read_servers(serving.settings).primary
    place = home(serving.settings, primary)
    postgres_server.stop(place)
    with serving.postgres_afterwards(), on_a_volume(place) as volume:
        serving.start_postgres()
        server = postgres.server_process(serving.settings)
        full = limited(server.pid, *(c.pid for c in server.children())) if volume is None else filled(volume)
        with serving.load():
            serving.fault()
            with full:
                _use_up_the_log(serving)
                serving.await_silence()
                serving.endure(max(outage_s - 3, 0))
                reason = os.strerror(errno.EFBIG if volume is None else errno.ENOSPC)
                assert reason in place.log.read_text(), "the server says what it lacks"
            serving.start_postgres()
            serving.await_steady()
            noticed = serving.noticed(f"disk full for {outage_s:g} s")
        assert noticed.failures.keys() <= _REFUSALS


def _use_up_the_log(serving: ServingRig) -> None:
    """Begin segment after segment, until there is no room for another one: else that takes as long as it takes."""

    def is_down() -> bool:
        with contextlib.suppress(psycopg.Error), serving.superuser() as owner:
            owner.execute("SELECT pg_switch_wal()")
            owner.execute("SELECT pg_logical_emit_message(true, 'drill', '')")
            return False
        return postgres.server_process(serving.settings) is None

    until(is_down, "the server gives up")


def test_a_node_that_dies_costs_what_it_had_in_hand_and_is_taken_back(serving):
    with two_nodes(serving.settings) as nodes:
        nodes.deploy("lookup")
        assert all(nodes.replicas(name) for name in ("head", "second")), "each node serves"
        receipts = tuple(one for one in serving.world.subjects if one.kind is Kind.RECEIPT)
        rig = replace(serving, settings=nodes.settings, world=replace(serving.world, subjects=receipts))
        with rig.load():
            lost = nodes.replicas("second")
            rig.fault()
            nodes.kill_second()
            until(lambda: not any(is_alive(one) for one in lost), "its replicas end")
            rig.await_steady()
            noticed = rig.noticed("one of two nodes died")
            nodes.start_second()
            until(lambda: nodes.replicas("second"), "the node serves again")
            rig.await_steady()
    assert noticed.good > 0
