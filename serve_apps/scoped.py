"""Reading under row-level security: a transaction that carries one principal's scope and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from receipts.access import Principal
from receipts.sql import load_sql

_SQL = load_sql("serve_apps", "scoped")
CONNECTION_S = 2.0  # wait for a connection: beyond it the replica is overloaded or the database is down, and says so


@asynccontextmanager
async def scoped(pool: AsyncConnectionPool, principal: Principal) -> AsyncGenerator[AsyncConnection[Any], None]:
    """Open a transaction that sees the rows of a principal's scope, on a connection of the primary's pool.

    Raises psycopg.OperationalError when no connection is free in time or the database is gone.
    """
    async with pool.connection(timeout=CONNECTION_S) as connection, scope(connection, principal):
        yield connection


@asynccontextmanager
async def scope(connection: AsyncConnection[Any], principal: Principal) -> AsyncGenerator[None, None]:
    """Open a transaction that sees the rows of a principal's scope.

    Statements are pipelined: BEGIN and the scope travel with the first query.
    """
    async with connection.pipeline(), connection.transaction():
        await connection.execute(_SQL["set_scope"], (principal.scope_id, principal.principal_id))
        yield
