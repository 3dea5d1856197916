"""What one replica of any serving application holds: its pools, its token verifier, its audit writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
from fastapi import Depends
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from configs.settings import Settings
from receipts.database import DatabaseRole, conninfo, open_connection, open_pool
from receipts.tracing import open_tracing
from serve_apps.audit_writer import AuditWriter
from serve_apps.coalescer import Coalescer
from serve_apps.keys import KeyRing, key_source
from serve_apps.limit_store import LimitStore
from serve_apps.limits import Limits
from serve_apps.long_reads import LongReads
from serve_apps.meters import Traffic
from serve_apps.reads import Reads
from serve_apps.revocations import Revocations
from serve_apps.tokens import TokenVerifier

if TYPE_CHECKING:
    from receipts.spans import Tracing

_PING_S = 5.0


@dataclass(frozen=True, slots=True)
class ServingContext:
    """What handlers work with: `pool` is the primary's, `reads` runs what may be a moment behind on standbys.

    `long_reads` reads what is more than memory holds, on connections of its own.

    The audit trail has its own connection, so that slow queries cannot hold back other requests' answers. `questions`
    are what many requests are asked together by, named for the metrics; an application adds its own.
    """

    settings: Settings
    role: DatabaseRole
    pool: AsyncConnectionPool
    reads: Reads
    long_reads: LongReads
    tokens: TokenVerifier
    audit: AuditWriter
    limits: Limits
    traffic: Traffic = field(default_factory=Traffic)
    questions: dict[str, Coalescer[Any]] = field(default_factory=dict)
    tracing: Tracing | None = None

    async def check_health(self) -> None:
        """Raise psycopg.OperationalError when this replica cannot reach a database that others can.

        One that nobody can reach is no reason to replace replicas, which would only come back later than it does.
        """
        try:
            async with self.pool.connection(timeout=_PING_S) as connection:
                await connection.execute("SELECT 1")
        except psycopg.OperationalError:
            try:
                async with await open_connection(self.settings, self.role) as fresh:
                    await fresh.execute("SELECT 1")
            except psycopg.OperationalError:
                return
            raise


def serving_context(
    settings: Settings, role: DatabaseRole = DatabaseRole.API, application: str = "api"
) -> ServingContext:
    """Return a replica's context, not yet opened; `application` is how its traces name it."""
    connect = partial(open_connection, settings, role)
    secret = str(conninfo_to_dict(conninfo(settings, role))["password"])  # what all replicas share and nobody else has
    pool = open_pool(settings, role, autocommit=True)
    audit = AuditWriter(connect)
    return ServingContext(
        settings=settings,
        role=role,
        pool=pool,
        reads=Reads(settings, role, pool),
        long_reads=LongReads(settings, role),
        tokens=TokenVerifier(settings.auth, KeyRing(key_source(settings)), Revocations(settings.auth)),
        audit=audit,
        limits=Limits(settings.limits, LimitStore(connect, secret.encode())),
        questions={"audit": audit.events},
        tracing=open_tracing(settings, application),
    )


@asynccontextmanager
async def opened(context: ServingContext) -> AsyncGenerator[None, None]:
    """Open pools, keys and the list of ended sessions in the running event loop and close them at the end.

    A database that is down does not stop a replica from starting: its requests get 503 until it is back.
    """
    keys, revocations = context.tokens.keys, context.tokens.revocations
    await keys.refresh()
    async with (
        context.pool,
        context.reads,
        aclosing(context.audit),
        aclosing(context.limits),
        kept(keys.keep_fresh(), revocations.keep_fresh(context.pool), context.limits.leases.keep()),
    ):
        ready = (revocations.looked.wait(), *(question.warm() for question in context.questions.values()))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ready), _PING_S)
        try:
            yield
        finally:
            if context.tracing is not None:
                await asyncio.to_thread(context.tracing.close)


@asynccontextmanager
async def kept(*endless: Coroutine[None, None, None]) -> AsyncGenerator[None, None]:
    """Run what keeps something fresh for ever while the block lasts."""
    keepers = [asyncio.create_task(one) for one in endless]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.wait(keepers)


def _serving(request: Request) -> ServingContext:
    return request.app.state.context


Serving = Annotated[ServingContext, Depends(_serving)]
