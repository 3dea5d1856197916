"""Migrations only go forward, once each, and leave exactly the schema that is written down."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster.migrations import SCHEMA_FILE, Migration, MigrationError, dump_schema, list_migrations, migrate


@pytest.fixture
def empty(postgres_server) -> Iterator[str]:
    """The connection string of an empty database."""
    postgres_server.create_database("empty", "template0")
    yield postgres_server.dsn("empty")
    postgres_server.drop_database("empty")


def test_all_migrations_together_give_the_schema_that_is_written_down(postgres_server, template_database):
    # When a migration was added: `receipts migrate --write-schema`.
    assert dump_schema(postgres_server.dsn(template_database)) == SCHEMA_FILE.read_text()


def test_the_written_schema_gives_itself_when_loaded(empty: str):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(SCHEMA_FILE.read_bytes())
    assert dump_schema(empty) == SCHEMA_FILE.read_text()


def test_every_object_belongs_to_the_owner_role_or_the_search_role(owner):
    strays = owner.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('access', 'retail', 'ingest', 'audit', 'sync', 'portal', 'auth', 'limits')"
        " AND c.relowner NOT IN ('receipts_owner'::regrole, 'receipts_search'::regrole)"
    ).fetchall()
    assert strays == []


def test_a_second_run_applies_nothing(empty: str):
    first = migrate(empty)
    assert first == [migration.name for migration in list_migrations()]
    assert migrate(empty) == []


def test_two_runs_at_once_apply_each_migration_once(empty: str):
    applied: list[list[str]] = []
    runs = [threading.Thread(target=lambda: applied.append(migrate(empty))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(applied) == [[], [migration.name for migration in list_migrations()]]


def test_a_failing_migration_changes_nothing_and_says_where_it_failed(empty: str):
    good = Migration(1, "0001_good", b"CREATE TABLE good (n int);")
    bad = Migration(2, "0002_bad", b"CREATE TABLE half (n int);\nSELECT no_such_column;")
    with pytest.raises(MigrationError, match='0002_bad failed at line 2: column "no_such_column" does not exist'):
        migrate(empty, [good, bad])
    with psycopg.connect(empty) as connection:
        tables = connection.execute("SELECT to_regclass('good')::text, to_regclass('half')::text").fetchone()
    assert tables == ("good", None)
    assert migrate(empty, [good, Migration(2, "0002_bad", b"SELECT 1;")]) == ["0002_bad"]


def test_an_applied_migration_that_was_changed_is_refused(empty: str):
    migrate(empty, [Migration(1, "0001_first", b"SELECT 1;")])
    with pytest.raises(MigrationError, match="0001_first was applied and has been changed since"):
        migrate(empty, [Migration(1, "0001_first", b"SELECT 2;")])


def test_a_database_newer_than_the_program_is_refused(empty: str):
    migrate(empty, [Migration(1, "0001_first", b"SELECT 1;"), Migration(2, "0002_second", b"SELECT 2;")])
    with pytest.raises(MigrationError, match="has migration 0002_second, which this version"):
        migrate(empty, [Migration(1, "0001_first", b"SELECT 1;")])


def test_a_migration_numbered_below_an_applied_one_is_refused(empty: str):
    second = Migration(2, "0002_second", b"SELECT 2;")
    migrate(empty, [second])
    with pytest.raises(MigrationError, match="0001_late is numbered below"):
        migrate(empty, [Migration(1, "0001_late", b"SELECT 1;"), second])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["one.sql"], "must be named like"), (["0001_a.sql", "0001_b.sql"], "have the same number")],
)
def test_misnamed_migrations_are_refused(tmp_path: Path, names: list[str], sentence: str):
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=sentence):
        list_migrations(tmp_path)


def test_the_order_of_audit_groups_survives_its_parting_into_months(empty: str):
    before = [migration for migration in list_migrations() if migration.number < 12]
    migrate(empty, before)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("SELECT audit.make_partitions()")
        for _ in range(2):
            connection.execute(
                "SELECT audit.extend(chain, 1, head, '[]') FROM audit.open_chain()",
            )
        connection.execute("SELECT audit.project()")
        told = connection.execute("SELECT position, chain, seq, events FROM audit.projections ORDER BY 1").fetchall()
        migrate(empty)
        kept = connection.execute("SELECT position, chain, seq, events FROM audit.projections ORDER BY 1").fetchall()
        parts = connection.execute(
            "SELECT DISTINCT tableoid::regclass::text FROM audit.projections WHERE position < 3"
        ).fetchall()
        connection.execute("SELECT audit.make_partitions()")
        connection.execute("SELECT audit.extend(chain, 1, head, '[]') FROM audit.open_chain()")
        connection.execute("SELECT audit.project()")
        last = connection.execute("SELECT max(position), count(*) FROM audit.projections").fetchone()
    assert (len(told), kept) == (2, told)
    assert [name.startswith("audit.projections_2") for (name,) in parts] == [True]
    assert last == (3, 3)
