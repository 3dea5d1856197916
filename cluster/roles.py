"""The database roles: one owner nobody logs in as, one for search functions, one login per kind of process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import psycopg
from psycopg import sql

from cluster.credentials import ensure_credentials
from configs.settings import Settings
from receipts.database import DatabaseRole


def ensure_roles(connection: psycopg.Connection[tuple[object, ...]], passwords: Mapping[str, str]) -> None:
    """Create or correct all roles and set the logins' passwords, in one transaction; safe to repeat.

    Passwords are hashed before they are sent, so that no server log can hold one.
    """
    script = resources.files("cluster").joinpath("roles.sql").read_bytes()
    with connection.transaction():
        connection.execute(script)
        for role in DatabaseRole:
            if role.value in passwords:
                hashed = connection.pgconn.encrypt_password(
                    passwords[role.value].encode(), role.value.encode(), b"scram-sha-256"
                )
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(role.value), sql.Literal(hashed.decode())))


def role_passwords(settings: Settings) -> dict[str, str]:
    """Return the logins' passwords: those of the settings; for the embedded server also those it was given."""
    given = {name: value.get_secret_value() for name, value in settings.database.role_passwords.items()}
    made = ensure_credentials(settings) if settings.database.dsn is None else {}
    return {role.value: made[role.value] for role in DatabaseRole if role.value in made} | given
