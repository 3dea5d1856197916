"""The peer: what a team would otherwise write. FastAPI + uvicorn + a psycopg pool, no security, no audit."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, HTTPException, Response
from psycopg_pool import AsyncConnectionPool


def build_app(conninfo: str) -> FastAPI:
    """Return an app that answers for a receipt, a customer's receipts and a customer from the platform's own tables."""
    pool: AsyncConnectionPool = AsyncConnectionPool(
        conninfo, min_size=4, max_size=8, open=False, kwargs={"autocommit": True}
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await pool.open()
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/receipt/{receipt_id}")
    async def find_receipt(receipt_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI holds it
        async with pool.connection() as connection:
            found = await connection.execute(
                "SELECT document FROM retail.receipts WHERE receipt_id = %s", (receipt_id,)
            )
            row = await found.fetchone()
        if row is None:
            raise HTTPException(404)
        return Response(row[0], media_type="application/json")

    _add_customers(app, pool)
    return app


def _add_customers(app: FastAPI, pool: AsyncConnectionPool) -> None:
    @app.get("/customers/{customer_id}/receipts")
    async def list_receipts(customer_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI holds it
        async with pool.connection() as connection:
            found = await connection.execute(
                "SELECT document FROM retail.receipts WHERE customer_id = %s "
                "ORDER BY purchased_at DESC, receipt_id DESC LIMIT 20",
                (customer_id,),
            )
            rows = await found.fetchall()
        return Response(f"[{','.join(row[0] for row in rows)}]", media_type="application/json")

    @app.get("/cs/context/{customer_id}")
    async def find_context(customer_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI holds it
        async with pool.connection() as connection:
            found = await connection.execute(
                "SELECT document FROM retail.customer_profiles WHERE customer_id = %s", (customer_id,)
            )
            row = await found.fetchone()
        if row is None:
            raise HTTPException(404)
        return Response(row[0], media_type="application/json")


if __name__ == "__main__":  # python -m loadtest.bench.naked_lookup PORT, the connection string on standard input
    uvicorn.run(build_app(sys.stdin.readline().strip()), port=int(sys.argv[1]), log_level="warning", access_log=False)
