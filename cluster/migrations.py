"""Numbered, forward-only changes of the database's schema: `cluster/migrations/NNNN_<what>.sql`."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cluster.errors import PlatformError
from cluster.postgres_home import installed_binaries
from receipts.sql import load_sql

FOLDER = Path(__file__).parent / "migrations"
SCHEMA_FILE = Path(__file__).parent / "schema.sql"
_SQL = load_sql("cluster", "migrations")
_FILE = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_NOISE = re.compile(r"^(--.*|\\(un)?restrict .*)$\n?", re.MULTILINE)  # versions and one-time tokens of pg_dump


class MigrationError(PlatformError):
    """A migration cannot be applied; says which and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file. `digest` is the SHA-256 of its bytes, in hex."""

    number: int
    name: str
    script: bytes

    @property
    def digest(self) -> str:
        """Return what identifies the file's content."""
        return hashlib.sha256(self.script).hexdigest()


def list_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return the migrations in order. Raises MigrationError on a misnamed file or a number that is used twice."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"The migration {path.name} must be named like 0002_what_it_does.sql.")
        found.append(Migration(int(match["number"]), path.stem, path.read_bytes()))
    for before, after in pairwise(found):
        if before.number == after.number:
            raise MigrationError(f"The migrations {before.name} and {after.name} have the same number.")
    return found


def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing, each file in one transaction, and return the names of those applied.

    Concurrent runs wait for each other. Raises MigrationError when an applied file was changed, is missing, or
    a new one is numbered below it, and when a file fails (the database then stands as before that file).
    """
    wanted = list_migrations() if migrations is None else list(migrations)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_SQL["take_lock"])
        connection.execute(_SQL["create_record"])
        applied = {
            int(number): (str(name), str(digest)) for number, name, digest in connection.execute(_SQL["list_applied"])
        }
        _check(wanted, applied)
        missing = [migration for migration in wanted if migration.number not in applied]
        for migration in missing:
            _apply(connection, migration)
    return [migration.name for migration in missing]


def dump_schema(dsn: str) -> str:
    """Return the schema of a database as pg_dump tells it, without what differs from run to run."""
    parts = conninfo_to_dict(dsn)
    environment = {"PGPASSWORD": str(parts.pop("password", "")), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    address = " ".join(f"{key}='{value}'" for key, value in parts.items())
    command = [str(installed_binaries() / "pg_dump"), "--schema-only", f"--dbname={address}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    if result.returncode != 0:
        raise PlatformError(f"pg_dump failed: {result.stderr.strip()}")
    return re.sub(r"\n{2,}", "\n\n", _NOISE.sub("", result.stdout)).strip() + "\n"


def _check(wanted: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    by_number = {migration.number: migration for migration in wanted}
    for number, (name, digest) in applied.items():
        if number not in by_number:
            raise MigrationError(f"The database has migration {name}, which this version of the platform has not.")
        if by_number[number].digest != digest:
            raise MigrationError(
                f"The migration {name} was applied and has been changed since; "
                "migrations only go forward: restore the file and write a new one."
            )
    late = [
        migration
        for migration in wanted
        if migration.number not in applied and migration.number < max(applied, default=0)
    ]
    if late:
        raise MigrationError(
            f"The migration {late[0].name} is numbered below one that was applied; give it a new number."
        )


def _apply(connection: psycopg.Connection[tuple[object, ...]], migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.script)
            connection.execute("RESET ROLE")
            connection.execute(
                _SQL["record"], {"number": migration.number, "name": migration.name, "digest": migration.digest}
            )
    except psycopg.Error as error:
        line = _line(migration, error)
        raise MigrationError(
            f"The migration {migration.name} failed{line}: {error.diag.message_primary or error}"
        ) from error


def _line(migration: Migration, error: psycopg.Error) -> str:
    position = error.diag.statement_position
    if position is None:
        return ""
    return f" at line {migration.script.decode()[: int(position)].count(chr(10)) + 1}"
