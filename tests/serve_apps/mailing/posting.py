"""Deliveries that are due, and a mailer that sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from configs.mail import MailSettings
from configs.settings import Settings
from receipts.access import Principal
from receipts.database import DatabaseRole, connect
from serve_apps.mailing.mailer import Mailer
from serve_apps.mailing.metrics import Metrics
from serve_apps.mailing.outlets import outlet_of
from tests.fixtures.retail import make_receipt
from tests.fixtures.smtp_server import MailServer

RECEIPT = make_receipt()


def mailing_by(settings: Settings, server: MailServer, **others: Any) -> Settings:
    """Return the settings with this mail server; pauses are short, and only news wakes the mailer."""
    mail = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "timeout_s": 5,
        "retry_s": 0.05,
        "interval_s": 60,
        "metrics_port": settings.mail.metrics_port,
    }
    return settings.model_copy(update={"mail": MailSettings(**(mail | others))})


def schedule(
    settings: Settings,
    principal: Principal,
    email: str | None = "ann@example.com",
    *,
    gift: bool = False,
    undo_s: float = 0.0,
    receipt_id: str = RECEIPT.receipt_id,
) -> UUID:
    """Ask for a delivery as the API does."""
    with connect(settings, DatabaseRole.API) as api, api.transaction():
        api.execute("SELECT set_config('app.scope', %s, true)", (principal.scope_id,))
        row = api.execute(
            "SELECT delivery_id FROM mail.schedule(%s, %s, 'a***@example.com', %s, %s, NULL, %s)",
            (receipt_id, email, gift, principal.principal_id, undo_s),
        ).fetchone()
    assert row is not None
    assert isinstance(row[0], UUID)
    return row[0]


@asynccontextmanager
async def mailing(settings: Settings, at: Callable[[str], None] = lambda _: None) -> AsyncIterator[Metrics]:
    """Run a mailer while the block lasts."""
    outlet, metrics, stop = outlet_of(settings), Metrics(), asyncio.Event()
    assert outlet is not None
    running = asyncio.create_task(Mailer(settings, outlet, metrics, at).run(stop))
    try:
        yield metrics
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def comes_true(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = asyncio.get_running_loop().time() + 30
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it has not come true"
        await asyncio.sleep(0.02)


async def ended(owner: psycopg.Connection, delivery_id: UUID, status: str = "sent") -> dict[str, Any]:
    """Wait until a delivery has a status, and return its row."""
    row: dict[str, Any] = {}

    def has_ended() -> bool:
        with owner.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM mail.deliveries WHERE delivery_id = %s", (delivery_id,)).fetchone()
        row.update(found or {})
        return bool(row["status"] == status)

    await comes_true(has_ended)
    return row
