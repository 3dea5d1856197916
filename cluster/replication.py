"""How the embedded servers follow each other: their configuration, their login, and their places in the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cluster.credentials import REPLICATION, write_private
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome, home_of
from cluster.postgres_server import configure, write_owned
from cluster.postgres_tuning import configuration
from configs.settings import Settings
from receipts.postgres_servers import LOOPBACK, Server, Servers, servers_file, servers_text
from receipts.sql import load_sql

SQL = load_sql("cluster", "replication")
FOLLOWS = "standby.signal"  # Postgres' own mark: a server that finds it takes no writes, whoever starts it
_LOST_AFTER = "4GB"  # a standby that is away must not fill the disk: beyond it, it is rebuilt
_KEPT = "512MB"  # for an old primary that rejoins, which has no place in the log
# What pg_rewind reads files with; who may replicate may read them all anyway.
_REWIND = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


def configuration_of(
    first: PostgresHome, servers: Servers, server: Server, extra: Mapping[str, str] | None = None
) -> str:
    """Return the text of a server's receipts.conf: where it follows, or for whom it waits."""
    following: dict[str, str] = {}
    if servers.others:
        following |= {"max_slot_wal_keep_size": _LOST_AFTER, "wal_keep_size": _KEPT}
    if server != servers.primary:
        following |= {
            "primary_conninfo": replication_login(first, servers.primary, server.name),
            "primary_slot_name": server.name,
        }
    elif servers.waits_for_quorum:
        names = ", ".join(one.name for one in servers.standbys)
        following["synchronous_standby_names"] = f"ANY 1 ({names})"
    return configuration(server.port, following | dict(extra or {}))


def replication_login(first: PostgresHome, source: Server, name: str) -> str:
    """Return the connection string with which the server `name` copies from another one; it holds no password."""
    return make_conninfo(
        "",
        host=LOOPBACK,
        port=source.port,
        dbname="postgres",
        user=REPLICATION,
        passfile=str(first.root / "replication.passfile"),
        application_name=name,
        connect_timeout=5,
    )


def ensure_login(first: PostgresHome, admin: str, password: str) -> None:
    """Make the login that may replicate and nothing else, on the primary, and the file with its password."""
    write_owned(first, first.root / "replication.passfile", f"{LOOPBACK}:*:*:{REPLICATION}:{password}\n")
    # Where every standby is lost, a commit that waited for one would wait for what is being done here.
    with psycopg.connect(admin, options="-c synchronous_commit=local") as connection:
        if not _one(connection, "has_role", REPLICATION):
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(REPLICATION)))
        hashed = connection.pgconn.encrypt_password(password.encode(), REPLICATION.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN REPLICATION NOINHERIT NOSUPERUSER PASSWORD {}").format(
                sql.Identifier(REPLICATION), sql.Literal(hashed.decode())
            )
        )
        for function in _REWIND:
            connection.execute(
                sql.SQL("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}").format(
                    sql.SQL(function), sql.Identifier(REPLICATION)
                )
            )


def keep_slots(server: str, names: Collection[str]) -> None:
    """Make a server keep the log for these standbys and nobody else, by the superuser's connection string."""
    with psycopg.connect(server, autocommit=True) as connection:
        slots = connection.execute(SQL["list_slots"]).fetchall()
        useful = {name for name, _, lost in slots if name in names and not lost}
        for name, active, _ in slots:
            if name not in useful and not active:
                connection.execute(SQL["drop_slot"], [name])
        for name in sorted(set(names) - useful):
            connection.execute(SQL["create_slot"], [name])


def decide(settings: Settings, first: PostgresHome, servers: Servers) -> None:
    """Write down which servers there are, and let those that have data follow it; running ones do at once."""
    write_private(servers_file(settings), servers_text(servers).encode())
    for server in (servers.primary, *servers.others):
        home = home_of(first, server.name)
        if home.data.is_dir():
            configure(home, configuration_of(first, servers, server))


def finish_promotion(home: PostgresHome, admin: str) -> None:
    """Promote a server that was chosen as primary and still follows; another is left as it is.

    Raises PlatformError when it does not become one.
    """
    if not (home.data / FOLLOWS).is_file():
        return
    with psycopg.connect(admin, autocommit=True) as connection:
        if _one(connection, "is_standby") and not _one(connection, "promote"):
            raise PlatformError(
                f"The server in {home.data} did not become the primary within a minute: see {home.log}."
            )


def ask(server: str, block: str, *params: object) -> Any:  # noqa: ANN401  # the block says what it answers
    """Return the one value of a block, by the superuser's connection string. Raises psycopg.Error."""
    with psycopg.connect(server, autocommit=True) as connection:
        return _one(connection, block, *params)


def _one(connection: psycopg.Connection[tuple[Any, ...]], block: str, *params: object) -> Any:  # noqa: ANN401  # as above
    row = connection.execute(SQL[block], params).fetchone()
    return None if row is None else row[0]
