"""Who may do what to the audit trail in Postgres: nobody changes it, and few read it."""

import psycopg
import pytest

from configs.settings import Settings
from receipts.database import DatabaseRole, connect

_TABLES = ("events", "chains", "spool", "projections", "faults", "retirements")
_MAY = {(DatabaseRole.PIPELINE, table, "SELECT") for table in _TABLES}
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES")
_FUNCTIONS = {
    "append": set(),
    "drop_expired": {"receipts_retention"},
    "extend": {"receipts_api", "receipts_auth"},
    "list_months": {"receipts_pipeline", "receipts_retention"},
    "list_views": {"receipts_api"},  # who looked at a receipt of the caller's regions
    "make_partitions": {"receipts_pipeline"},
    "open_chain": {"receipts_api", "receipts_auth"},
    "project": {"receipts_pipeline"},
    "record_retirement": set(),
    "retire_spool": {"receipts_retention"},
}


def test_roles_have_these_rights_on_the_trail_and_no_others(settings: Settings, owner: psycopg.Connection) -> None:
    owner.execute("SELECT audit.make_partitions()")
    held = {
        (role, table, right)
        for role in DatabaseRole
        for (table,) in owner.execute("SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace"
                                      " AND relkind IN ('r', 'p')").fetchall()
        for right in _RIGHTS
        if owner.execute("SELECT has_table_privilege(%s, %s, %s)", [role, f"audit.{table}", right]).fetchone()[0]
    }  # fmt: skip
    assert held == _MAY


def test_what_changes_the_trail_is_run_by_those_who_need_it(settings: Settings, owner: psycopg.Connection) -> None:
    rows = owner.execute(
        "SELECT p.proname, array_remove(array_agg(r.rolname::text), NULL) FROM pg_proc p"
        " LEFT JOIN pg_roles r ON r.rolname LIKE 'receipts\\_%' AND r.rolcanlogin"
        " AND has_function_privilege(r.oid, p.oid, 'EXECUTE')"
        " WHERE p.pronamespace = 'audit'::regnamespace AND p.prosecdef GROUP BY p.proname"
    ).fetchall()
    held = {name: set(roles) for name, roles in rows}
    assert held == {name: roles for name, roles in _FUNCTIONS.items() if name in held}
    assert {"extend", "drop_expired", "retire_spool", "project"} <= set(held)


@pytest.mark.parametrize("role", list(DatabaseRole))
def test_no_role_can_change_drop_or_detach_a_part_of_the_trail(
    settings: Settings, owner: psycopg.Connection, role: DatabaseRole
) -> None:
    owner.execute("SELECT audit.make_partitions('2019-10-05')")
    with connect(settings, role) as connection:
        connection.autocommit = True
        for statement in (
            "UPDATE audit.spool SET payload = ''",
            "DELETE FROM audit.events",
            "TRUNCATE audit.spool_2019_10",
            "DROP TABLE audit.spool_2019_10",
            "ALTER TABLE audit.spool DETACH PARTITION audit.spool_2019_10",
            "ALTER TABLE audit.spool DISABLE TRIGGER ALL",
            "INSERT INTO audit.spool VALUES (1, 1, now(), '', '', '[]')",
            "INSERT INTO audit.retirements VALUES ('2019-10-01', 'spool', now(), 'x', 0, 0, 1, 1)",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_even_the_owner_changes_and_truncates_no_part(settings: Settings, owner: psycopg.Connection) -> None:
    owner.execute("SELECT audit.make_partitions()")
    owner.execute("SET ROLE receipts_owner")
    rows = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relkind IN ('r', 'p')"
    ).fetchall()
    assert len(rows) > 12
    for (table,) in rows:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            owner.execute(f"TRUNCATE audit.{table}")
    chain = owner.execute("SELECT chain FROM audit.open_chain()").fetchone()[0]
    owner.execute("SELECT audit.extend(%s, 1, '', '[]')", [chain])
    owner.execute("SELECT audit.project()")
    for table in ("spool", "projections", "chains"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            owner.execute(f"DELETE FROM audit.{table}")
    assert owner.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'receipts_owner'").fetchone() == (False,)
    members = owner.execute(
        "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
        " WHERE m.roleid = 'receipts_owner'::regrole AND NOT r.rolsuper"
    ).fetchone()
    assert members == (0,)
