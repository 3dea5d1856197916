"""The embedded Postgres starts, stops and recovers, and lets nobody in without a password."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from cluster import postgres, postgres_home
from cluster.errors import PlatformError
from cluster.postgres_tuning import configuration
from configs.settings import Settings
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_ports

_START = "from cluster import postgres; from configs.settings import load_settings; postgres.start(load_settings())"


@pytest.fixture
def fresh() -> Iterator[Settings]:
    """Settings of a server that does not exist yet; what the test makes of it is removed."""
    root = Path(tempfile.mkdtemp(prefix="receipts-test-"))
    root.chmod(0o755)
    (port,) = free_ports(1)
    settings = Settings(state_dir=root / "state", database={"embedded_port": port})
    yield settings
    postgres.stop(settings)
    postgres_home.remove_home(settings)
    shutil.rmtree(root)


def test_starting_and_stopping_twice_is_as_good_as_once(fresh: Settings):
    assert not postgres.is_running(fresh)
    postgres.start(fresh)
    first = postgres.server_process(fresh)
    postgres.start(fresh)
    assert postgres.server_process(fresh) == first
    assert postgres.is_running(fresh)
    postgres.stop(fresh)
    postgres.stop(fresh)
    assert not postgres.is_running(fresh)
    assert not first.is_running()


def test_a_killed_server_comes_back_with_every_committed_row(fresh: Settings):
    postgres.start(fresh)
    postgres.ensure_database(fresh)
    with psycopg.connect(postgres.admin_dsn(fresh), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        # The open connection's backend outlives the server for a moment: the start must outwait it.
        postgres.server_process(fresh).kill()
        postgres.start(fresh)
    with psycopg.connect(postgres.admin_dsn(fresh)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


@pytest.mark.parametrize(
    "moment", ["initialising-*", "initialising-*/data/global", "initialising-*/data/base/1", "data"]
)
def test_a_start_that_is_killed_half_way_is_finished_by_the_next(fresh: Settings, moment: str):
    environment = environment_of(fresh)
    starting = subprocess.Popen([sys.executable, "-c", _START], env=environment, start_new_session=True)
    root = fresh.state_dir / "postgres"
    deadline = time.monotonic() + 60
    while not list(root.glob(moment)):
        assert time.monotonic() < deadline
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()
    postgres.start(fresh)
    postgres.ensure_database(fresh)
    with psycopg.connect(postgres.admin_dsn(fresh)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not list(root.glob("initialising-*"))


def test_a_pid_file_whose_number_another_program_has_is_no_obstacle(fresh: Settings):
    postgres.start(fresh)
    home = postgres_home.find_home(fresh)
    pid_file = home.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    postgres.stop(fresh)
    user = None if home.run_as is None else home.run_as.uid
    with subprocess.Popen(["sleep", "600"], user=user, cwd="/") as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:], ""]))
        if home.run_as is not None:
            shutil.chown(pid_file, home.run_as.uid, home.run_as.gid)
        assert postgres.server_process(fresh) is None
        postgres.start(fresh)
        assert postgres.server_process(fresh).pid != other.pid
        other.kill()


def test_nobody_gets_in_without_a_password_and_nobody_from_outside(postgres_server):
    address = f"host=127.0.0.1 port={postgres_server.settings.database.embedded_port} dbname=postgres user=postgres"
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(address)
    with psycopg.connect(postgres_server.dsn("postgres")) as connection:
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'unix_socket_directories',"
                " 'data_checksums', 'password_encryption', 'server_encoding')"
            ).fetchall()
        )
    assert rules == [("scram-sha-256",)]
    assert settings == {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
    }
    server = postgres.server_process(postgres_server.settings)
    listening = {one.laddr.ip for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_the_server_never_runs_as_root(postgres_server):
    assert postgres.server_process(postgres_server.settings).uids().effective != 0


def test_a_state_directory_closed_to_others_still_gets_a_server(fresh: Settings):
    fresh.state_dir.mkdir(parents=True)
    fresh.state_dir.chmod(0o700)
    postgres.start(fresh)
    home = postgres_home.find_home(fresh)
    assert postgres.is_running(fresh)
    # Root's own directory is closed to the server's user, who then lives elsewhere; any other user runs it himself.
    assert home.root.is_relative_to(fresh.state_dir) == (home.run_as is None)
    postgres.stop(fresh)
    postgres_home.remove_home(fresh)
    assert not home.root.exists()


def test_binaries_that_the_server_cannot_reach_are_copied_and_run(tmp_path: Path, postgres_server):
    home = postgres_home.find_home(postgres_server.settings)
    installed = postgres_home.installed_binaries().parents[2]
    copied = postgres_home._copy_binaries(installed, home.root)
    again = postgres_home._copy_binaries(installed, home.root)
    assert copied == again
    said = home.run(str(copied / "postgres"), "--version")
    assert said.stdout.startswith("postgres (PostgreSQL) 18")


def test_a_taken_port_is_named_with_the_setting_that_changes_it(fresh: Settings, postgres_server):
    taken = postgres_server.settings.database.embedded_port
    clash = fresh.model_copy(update={"database": postgres_server.settings.database})
    with pytest.raises(PlatformError, match=f"Port {taken} is taken.*RECEIPTS_DATABASE__EMBEDDED_PORT"):
        postgres.start(clash)


def test_data_of_another_major_version_is_refused(fresh: Settings):
    home = postgres_home.ensure_home(fresh)
    home.data.mkdir()
    (home.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(PlatformError, match="was made by PostgreSQL 16"):
        postgres.start(fresh)


def test_no_personal_data_reaches_the_servers_log():
    told = configuration(5432)
    assert "log_error_verbosity = 'terse'" in told
    assert "log_parameter_max_length = '0'" in told
    assert "log_parameter_max_length_on_error = '0'" in told
