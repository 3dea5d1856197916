import json

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from configs.settings import Settings, SettingsError, load_settings
from receipts.database import DatabaseRole, connect, conninfo, open_pool, standby_conninfos
from receipts.postgres_servers import FIRST, Server, Servers, read_servers, servers_file, servers_text

PASSWORDS = {role.value: f"password of {role}" for role in DatabaseRole}


def test_the_embedded_server_is_reached_on_loopback_with_the_password_that_up_wrote(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps(PASSWORDS))
    parts = conninfo_to_dict(
        conninfo(Settings(state_dir=tmp_path, database={"embedded_port": 22201}), DatabaseRole.API)
    )
    assert parts == {
        "host": "127.0.0.1",
        "port": "22201",
        "dbname": "receipts",
        "user": "receipts_api",
        "password": "password of receipts_api",
        "application_name": "receipts_api",
    }


def test_a_server_of_ones_own_keeps_its_address_but_never_the_owners_login(tmp_path):
    dsn = "postgresql://owner:geheim@db.example:6432/shop?sslmode=verify-full"
    settings = Settings(state_dir=tmp_path, database={"dsn": dsn, "role_passwords": PASSWORDS})
    parts = conninfo_to_dict(conninfo(settings, DatabaseRole.INGEST, {"connect_timeout": 5}))
    assert "geheim" not in str(parts)
    assert (parts["host"], parts["port"], parts["dbname"]) == ("db.example", "6432", "shop")
    assert (parts["user"], parts["sslmode"], parts["connect_timeout"]) == ("receipts_ingest", "verify-full", "5")


def test_a_dsn_without_a_database_means_ours(tmp_path):
    settings = Settings(state_dir=tmp_path, database={"dsn": "host=db.example", "role_passwords": PASSWORDS})
    assert conninfo_to_dict(conninfo(settings, DatabaseRole.API))["dbname"] == "receipts"


def test_the_settings_password_wins_over_the_file(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps(PASSWORDS))
    settings = Settings(state_dir=tmp_path, database={"role_passwords": {"receipts_api": "given"}})
    assert conninfo_to_dict(conninfo(settings, DatabaseRole.API))["password"] == "given"


def test_a_missing_password_names_the_setting(tmp_path):
    with pytest.raises(
        SettingsError, match=r"RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_AUTH is not set.*receipts up"
    ):
        conninfo(Settings(state_dir=tmp_path), DatabaseRole.AUTH)


def test_the_embedded_servers_passwords_are_not_for_another_server(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps(PASSWORDS))
    with pytest.raises(SettingsError, match="ROLE_PASSWORDS__RECEIPTS_API is not set"):
        conninfo(Settings(state_dir=tmp_path, database={"dsn": "host=db.example"}), DatabaseRole.API)


def test_a_dsn_that_is_none_is_refused_without_repeating_it(tmp_path):
    settings = Settings(state_dir=tmp_path, database={"dsn": "geheim without equals", "role_passwords": PASSWORDS})
    with pytest.raises(SettingsError, match="RECEIPTS_DATABASE__DSN is no connection string") as caught:
        conninfo(settings, DatabaseRole.API)
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("role", DatabaseRole)
def test_every_process_role_logs_in_as_itself_without_privileges(settings, role):
    with connect(settings, role) as connection:
        user, is_super, bypasses = connection.execute(
            "SELECT current_user::text, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert (user, is_super, bypasses) == (role.value, False, False)


async def test_a_pool_stops_a_statement_that_runs_too_long(settings):
    hasty = settings.model_copy(update={"database": settings.database.model_copy(update={"statement_timeout_ms": 100})})
    pool = open_pool(hasty, DatabaseRole.API, size=1)
    await pool.open()
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(30)")
    finally:
        await pool.close()


def test_of_several_hosts_the_one_that_takes_writes_is_the_primary(tmp_path):
    settings = Settings(
        state_dir=tmp_path,
        database={"dsn": "postgresql://owner@one.example,two.example/shop", "role_passwords": PASSWORDS},
    )
    parts = conninfo_to_dict(conninfo(settings, DatabaseRole.API))
    assert (parts["host"], parts["target_session_attrs"]) == ("one.example,two.example", "read-write")


@pytest.mark.parametrize(
    ("read_dsn", "places"),
    [
        ("postgresql://a.example:6432,b.example:6433/shop?sslmode=verify-full", ["a.example:6432", "b.example:6433"]),
        ("host=a.example,b.example port=6432 sslmode=verify-full", ["a.example:6432", "b.example:6432"]),
        ("host=readers.example sslmode=verify-full", ["readers.example:5432"]),
    ],
)
def test_standbys_of_ones_own_are_reached_one_by_one_as_the_process_role(tmp_path, read_dsn, places):
    given = {"dsn": "host=one.example", "read_dsn": read_dsn, "role_passwords": PASSWORDS}
    found = standby_conninfos(Settings(state_dir=tmp_path, database=given), DatabaseRole.API)
    assert list(found) == places
    for place, login in found.items():
        parts = conninfo_to_dict(login)
        assert f"{parts['host']}:{parts['port']}" == place
        assert (parts["user"], parts["password"]) == ("receipts_api", "password of receipts_api")
        assert (parts["sslmode"], parts["load_balance_hosts"]) == ("verify-full", "random")


def test_a_read_dsn_that_is_none_is_refused_without_repeating_it(tmp_path):
    given = {"dsn": "host=one.example", "read_dsn": "geheim without equals", "role_passwords": PASSWORDS}
    with pytest.raises(SettingsError, match="RECEIPTS_DATABASE__READ_DSN is no connection string") as caught:
        standby_conninfos(Settings(state_dir=tmp_path, database=given), DatabaseRole.API)
    assert "geheim" not in str(caught.value)


def test_standbys_without_a_primary_of_ones_own_are_refused():
    with pytest.raises(SettingsError, match="RECEIPTS_DATABASE__READ_DSN is set without RECEIPTS_DATABASE__DSN"):
        load_settings({"RECEIPTS_DATABASE__READ_DSN": "host=a.example"})


def test_each_new_connection_goes_to_what_is_the_primary_then(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps(PASSWORDS))
    settings = Settings(state_dir=tmp_path, database={"embedded_port": 22201})
    standby = Server("replica1", 22202)
    for servers in (
        Servers(Server(FIRST, 22201), (standby,)),
        Servers(standby, (Server(FIRST, 22201), Server("replica2", 22203, fenced=True))),
    ):
        servers_file(settings).write_text(servers_text(servers))
        assert read_servers(settings) == servers
        parts = conninfo_to_dict(conninfo(settings, DatabaseRole.API))
        assert (parts["port"], parts["target_session_attrs"]) == (str(servers.primary.port), "read-write")
        assert set(standby_conninfos(settings, DatabaseRole.API)) == {one.name for one in servers.others[:1]}
