"""Standbys are added, followed, lost, rejoined and removed; nothing of them stays behind."""

from dataclasses import replace

import psycopg
import pytest

from cluster import postgres, postgres_server, standbys
from cluster.doctor import examine
from cluster.errors import PlatformError
from cluster.replication import replication_login
from cluster.status import collect
from configs.settings import Settings
from receipts.database import DatabaseRole, connect, standby_conninfos
from receipts.postgres_servers import read_servers
from tests.drills.worker import until
from tests.fixtures.standbys import home, kill, superuser


def states(settings: Settings) -> dict[str, tuple[str, str, str | None]]:
    return {one.name: (one.role, one.state, one.sync_state) for one in standbys.list_servers(settings)}


def test_two_standbys_stream_and_commits_wait_for_one_of_them(two_standbys: Settings):
    assert states(two_standbys) == {
        "postgres": ("primary", "running", None),
        "replica1": ("standby", "streaming", "quorum"),
        "replica2": ("standby", "streaming", "quorum"),
    }
    assert [one["role"] for one in collect(two_standbys)["servers"]] == ["primary", "standby", "standby"]
    with superuser(two_standbys) as owner:
        assert owner.execute("SHOW synchronous_standby_names").fetchone() == ("ANY 1 (replica1, replica2)",)


def test_the_login_of_standbys_may_replicate_and_nothing_else(two_standbys: Settings):
    first, servers = standbys.running_primary(two_standbys)
    secret = (first.root / "replication.passfile").stat()
    assert secret.st_mode & 0o077 == 0
    password = (first.root / "replication.passfile").read_text().strip().rpartition(":")[2]
    login = replication_login(first, servers.primary, "test")
    assert password not in login
    with psycopg.connect(login, passfile="", password=password, dbname="receipts") as connection:
        assert connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, False, False, True)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM retail.receipts")


def test_a_killed_standby_holds_no_commit_up_and_the_next_start_brings_it_back(two_standbys: Settings):
    (one, _) = read_servers(two_standbys).standbys
    kill(two_standbys, one)
    with superuser(two_standbys) as owner:
        owner.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
    assert next(f for f in examine(two_standbys) if f.what == "standby replica1").remedy.startswith("`receipts up`")
    postgres.start(two_standbys)
    standbys.await_following(two_standbys, one)
    with superuser(two_standbys, one) as there:
        assert there.execute("SELECT n FROM public.kept").fetchone() == (1,)


@pytest.mark.parametrize("lost", [1, 2], ids=["one", "all"])
def test_standbys_whose_place_in_the_log_is_lost_are_copied_anew(two_standbys: Settings, lost: int):
    servers = read_servers(two_standbys).standbys[-lost:]
    for server in servers:
        postgres_server.stop(home(two_standbys, server))
    with superuser(two_standbys) as owner:
        owner.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        owner.execute("ALTER SYSTEM SET wal_keep_size = 0")
        owner.execute("SELECT pg_reload_conf()")
        for _ in range(3):
            owner.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000)), pg_switch_wal()")
        behind = (
            "SELECT count(*) FROM pg_replication_slots WHERE active AND pg_current_wal_lsn() - restart_lsn > 500000"
        )
        until(lambda: owner.execute(behind).fetchone() == (0,), "the other one has it all")  # or loses its place too
        owner.execute("CHECKPOINT")
        gone = "SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'"
        assert owner.execute(gone).fetchone() == (lost,)
        owner.execute("ALTER SYSTEM RESET ALL")
        owner.execute("SELECT pg_reload_conf()")
    for server in servers:
        assert standbys.rejoin(two_standbys, server.name) == "copied"
        assert states(two_standbys)[server.name] == ("standby", "streaming", "quorum")


def test_a_removed_standby_leaves_no_slot_no_data_and_nobody_waiting(two_standbys: Settings):
    (_, other) = read_servers(two_standbys).standbys
    place = home(two_standbys, other)
    standbys.remove_standby(two_standbys, other.name)
    assert not place.root.exists()
    assert set(states(two_standbys)) == {"postgres", "replica1"}
    assert states(two_standbys)["replica1"] == ("standby", "streaming", "async")
    with superuser(two_standbys) as owner:
        assert owner.execute("SELECT slot_name FROM pg_replication_slots").fetchall() == [("replica1",)]
    assert set(standby_conninfos(two_standbys, DatabaseRole.API)) == {"replica1"}
    with pytest.raises(PlatformError, match=r"replica2 is no standby; known: replica1\."):
        standbys.remove_standby(two_standbys, other.name)
    with connect(two_standbys, DatabaseRole.API) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def test_a_server_of_ones_own_gets_its_standbys_elsewhere(settings: Settings):
    with pytest.raises(PlatformError, match="RECEIPTS_DATABASE__READ_DSN"):
        standbys.add_standby(settings)


def test_a_standby_without_its_mark_is_never_started(two_standbys: Settings):
    servers = read_servers(two_standbys)
    first = home(two_standbys, servers.primary)
    stranger = replace(servers.standbys[0], name="stranger")
    with pytest.raises(PlatformError, match="no standby's"):
        postgres.start_standby(first, servers, stranger)
