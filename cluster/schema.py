"""The schema as one file, for people and for the test that a fresh schema equals a migrated one."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

import psycopg

from cluster import postgres, postgres_home
from cluster.migrations import SCHEMA_FILE, dump_schema, migrate
from cluster.roles import ensure_roles
from configs.database import DatabaseSettings
from configs.settings import Settings


def write_schema_file(path: Path = SCHEMA_FILE) -> Path:
    """Apply all migrations to a new database on a server of its own and write what they made to a file."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    state_dir = Path(tempfile.mkdtemp(prefix="receipts-schema-"))
    state_dir.chmod(0o755)
    settings = Settings(state_dir=state_dir, database=DatabaseSettings(embedded_port=port))
    try:
        postgres.start(settings)
        postgres.ensure_database(settings)
        dsn = postgres.admin_dsn(settings)
        with psycopg.connect(dsn, autocommit=True) as connection:
            ensure_roles(connection, {})
        migrate(dsn)
        path.write_text(dump_schema(dsn))
    finally:
        postgres.stop(settings)
        postgres_home.remove_home(settings)
        shutil.rmtree(state_dir, ignore_errors=True)
    return path
