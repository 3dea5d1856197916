"""The logins can do what the grants say and cannot step around row-level security."""

import psycopg
import pytest

from cluster import roles
from configs.settings import Settings
from receipts.database import DatabaseRole, connect


@pytest.mark.parametrize("role", list(DatabaseRole))
def test_every_process_logs_in_as_its_own_role_without_special_powers(settings: Settings, role: DatabaseRole):
    with connect(settings, role) as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        memberships = connection.execute(
            "SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"
        ).fetchone()
    assert row == (role.value, False, False, False, False, False)
    assert memberships == (0,)


@pytest.mark.parametrize("target", ["receipts_owner", "receipts_search", "postgres"])
@pytest.mark.parametrize("role", list(DatabaseRole))
def test_no_process_can_become_an_owner(settings: Settings, role: DatabaseRole, target: str):
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SET ROLE {target}")


def test_a_wrong_password_is_refused(settings: Settings):
    wrong = settings.model_copy(
        update={
            "database": settings.database.model_validate(
                {**settings.database.model_dump(), "role_passwords": {"receipts_api": "wrong"}}
            )
        }
    )
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(wrong, DatabaseRole.API)


def test_a_reader_without_a_scope_sees_no_receipt_and_with_one_only_its_regions(settings: Settings, owner):
    _two_receipts_in_two_regions(owner)
    with connect(settings, DatabaseRole.API) as connection:
        assert connection.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)
    with connect(settings, DatabaseRole.AUTH) as connection:
        scope = connection.execute("SELECT scope_id FROM access.open_scope('east')").fetchone()[0]
    with connect(settings, DatabaseRole.API) as connection:
        connection.execute("SELECT set_config('app.scope', %s, true)", [str(scope)])
        assert connection.execute("SELECT receipt_id FROM retail.receipts").fetchall() == [("r1",)]
        connection.execute("SET LOCAL row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM retail.receipts")


def test_the_owner_of_the_tables_is_under_row_level_security_too(owner):
    _two_receipts_in_two_regions(owner)
    with owner.transaction():
        owner.execute("SET LOCAL ROLE receipts_owner")
        assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.events SET role = 'x'",
        "DELETE FROM audit.events",
        "TRUNCATE audit.events",
        "SELECT * FROM audit.events",
        "INSERT INTO audit.events SELECT * FROM audit.events",
        "SELECT * FROM audit.spool",
        "INSERT INTO audit.spool VALUES (1, 1, now(), '', '', '[]')",
        "UPDATE audit.spool SET payload = '[]'",
        "DELETE FROM audit.spool",
        "UPDATE audit.chains SET projected = 9",
        "SELECT audit.project()",
    ],
)
def test_the_api_can_only_append_to_the_audit_trail(settings: Settings, statement: str):
    with connect(settings, DatabaseRole.API) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_making_the_roles_again_changes_nothing_but_a_lost_attribute(postgres_server, settings, owner):
    owner.execute("ALTER ROLE receipts_api BYPASSRLS")
    roles.ensure_roles(owner, postgres_server.passwords)
    roles.ensure_roles(owner, postgres_server.passwords)
    assert owner.execute("SELECT rolbypassrls FROM pg_roles WHERE rolname = 'receipts_api'").fetchone() == (False,)
    with connect(settings, DatabaseRole.API) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("receipts_api",)


def _two_receipts_in_two_regions(owner):
    owner.execute(
        "INSERT INTO access.principals (principal_id, role, display_name, region_ids)"
        " VALUES ('east', 'cs_rep', 'East', '{1}')"
    )
    owner.execute(
        "INSERT INTO retail.receipts SELECT 'r' || n, n, n, 'sale', now(), current_date, NULL, 100, '{}', '{}', '{}',"
        " '\\x00', '\\x00', now(), NULL FROM generate_series(1, 2) n"
    )
