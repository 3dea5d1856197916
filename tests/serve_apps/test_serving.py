"""A replica is ill when it cannot reach a database that others can, and not when nobody can."""

import psycopg
import pytest

from serve_apps import serving
from serve_apps.serving import opened, serving_context
from tests.fixtures.tcp_proxy import through


async def test_a_database_that_nobody_reaches_makes_no_replica_ill(settings, postgres_proxy, monkeypatch):
    monkeypatch.setattr(serving, "_PING_S", 0.5)  # instead of waiting for five seconds
    context = serving_context(through(settings, postgres_proxy))
    async with opened(context):
        await context.check_health()
        postgres_proxy.cut()
        await context.check_health()
        postgres_proxy.restore()


async def test_a_replica_whose_pool_is_lost_is_ill_while_the_database_answers(settings, monkeypatch):
    monkeypatch.setattr(serving, "_PING_S", 0.2)  # instead of waiting for five seconds
    context = serving_context(settings)
    async with opened(context):
        held = [await context.pool.getconn() for _ in range(context.pool.max_size)]
        with pytest.raises(psycopg.OperationalError):
            await context.check_health()
        for connection in held:
            await context.pool.putconn(connection)
        await context.check_health()
