"""A drainer is killed, at any moment or the worst one: another goes on, and each row reaches Bronze once."""

import os
import random
import signal
import subprocess
import sys
import threading

import psycopg
import pytest

from configs.settings import Settings
from ingest import drainer
from ingest.drainer import AnotherDrainer, drain
from receipts.database import DatabaseRole, conninfo
from tests.fixtures.retail import make_customer, make_store, store_rows
from tests.ingest.outbox_view import DEADLINE_S, bronze_keys, receipts_from, wait_for, waiting_rows

_KILLABLE = """
import threading
from configs.settings import load_settings
from ingest.drainer import drain_continuously
drain_continuously(load_settings(), threading.Event())
"""


# It dies of the point's second coming, when the window has one table in Bronze and others not.
_DYING = """
import os, signal, threading
from configs.settings import load_settings
from ingest.drainer import drain_continuously
seen = []
def die(point):
    seen.append(point)
    if point == os.environ["DIE_AT"] and (point == "committed" or seen.count(point) == 2):
        os.kill(os.getpid(), signal.SIGKILL)
drain_continuously(load_settings(), threading.Event(), at=die)
"""


def test_one_drainer_works_at_a_time(settings: Settings) -> None:
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST), autocommit=True) as other:
        other.execute(drainer._SQL["try_to_lead"])
        with pytest.raises(AnotherDrainer):
            drain(settings)
    assert drain(settings) == 0


def test_a_drainer_killed_at_any_moment_loses_and_doubles_nothing(
    settings: Settings, owner: psycopg.Connection, tmp_path
) -> None:
    small = {"drain_records": 40, "drain_interval_s": 0.01}
    store_rows(settings, stores=[make_store()])
    chance = random.Random(20261123)
    environment = _environment(settings, small)
    written = 0
    for _ in range(6):
        for _ in range(4):
            store_rows(settings, receipts=receipts_from(written + 1, 25))
            written += 25
        before = len(bronze_keys(settings))
        process = subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment, stderr=subprocess.PIPE)
        try:
            wait_for(lambda before=before: len(bronze_keys(settings)) > before)
            threading.Event().wait(chance.uniform(0, 0.15))  # the moment of death is what is drawn here
        finally:
            process.kill()
            process.communicate()
    wait_for(lambda: _drained(settings) and waiting_rows(owner) == 0)
    assert sorted(bronze_keys(settings)) == [receipt.receipt_id for receipt in receipts_from(1, written)]


@pytest.mark.parametrize("point", ["file written", "committed"])
def test_a_drainer_killed_at_a_known_point_loses_and_doubles_nothing(
    settings: Settings, owner: psycopg.Connection, point: str
) -> None:
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=receipts_from(1, 5))
    environment = {**_environment(settings, {}), "DIE_AT": point}
    process = subprocess.run([sys.executable, "-c", _DYING], env=environment, timeout=DEADLINE_S, check=False)
    assert process.returncode == -signal.SIGKILL
    store_rows(settings, receipts=receipts_from(6, 5))
    wait_for(lambda: _drained(settings) and waiting_rows(owner) == 0)
    assert sorted(bronze_keys(settings)) == [receipt.receipt_id for receipt in receipts_from(1, 10)]
    assert bronze_keys(settings, "bronze.stores") == ["367"]
    assert bronze_keys(settings, "bronze.customers") == ["C0000001"]


def test_a_standby_takes_over_when_the_leader_is_killed(settings: Settings, owner: psycopg.Connection) -> None:
    environment = _environment(settings, {"drain_interval_s": 0.05})
    leading = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted AND "
    leading += "datname = current_database()"
    drainers: list[subprocess.Popen[bytes]] = []
    try:
        drainers.append(subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment))
        wait_for(lambda: owner.execute(leading).fetchall())
        leader = owner.execute(leading).fetchone()
        drainers.append(subprocess.Popen([sys.executable, "-c", _KILLABLE], env=environment))
        connected = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'receipts_ingest' AND datname = "
        wait_for(lambda: owner.execute(connected + "current_database()").fetchone()[0] == 2)
        assert owner.execute(leading).fetchone() == leader
        drainers[0].kill()
        store_rows(settings, stores=[make_store()], receipts=receipts_from(1, 3))
        wait_for(lambda: len(bronze_keys(settings)) == 3)
        assert owner.execute(leading).fetchone() != leader
    finally:
        for drainer_process in drainers:
            drainer_process.kill()
            drainer_process.wait()


def _environment(settings: Settings, ingest: dict[str, object]) -> dict[str, str]:
    mine = {
        "RECEIPTS_STATE_DIR": str(settings.state_dir),
        "RECEIPTS_DATABASE__DSN": settings.database.dsn.get_secret_value(),
        "RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_INGEST": (
            settings.database.role_passwords["receipts_ingest"].get_secret_value()
        ),
        **{f"RECEIPTS_INGEST__{key.upper()}": str(value) for key, value in ingest.items()},
    }
    return {**os.environ, **mine}


def _drained(settings: Settings) -> bool:
    """Drain, unless the server has not noticed yet that the killed drainer is gone."""
    try:
        drain(settings)
    except AnotherDrainer:
        return False
    return True
