"""The customer beside a receipt: older receipts page by page, and contact data in clear for half a minute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import gradio as gr
from markupsafe import Markup
from pydantic import Field

from gradio_ui import customer_panel
from gradio_ui.answers import Contacts, History
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, Nothing, answered, asked
from gradio_ui.rep.opening import ReceiptId
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.models import CustomerId


class PageOfHistory(Asked):
    """A page of a customer's receipts; `opened` is the receipt that is on the screen."""

    customer_id: CustomerId
    opened: ReceiptId
    cursor: Annotated[str, Field(max_length=200)] | None = None


class Revealing(Asked):
    """Whose contact data are wanted in clear, and why."""

    customer_id: CustomerId
    reason: Literal["confirm_identity", "send_receipt", "call_back", "fraud_review", "other"]


async def history(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show another page of a customer's receipts."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, PageOfHistory)
        found = await api.get(History, "/customers/{customer_id}/receipts", wanted.customer_id, cursor=wanted.cursor)
        shown = customer_panel.history(found, wanted.opened, datetime.now(UTC), is_first=wanted.cursor is None)
        return (shown,)

    return await answered(request, Permission.READ_RECEIPTS, work, parts=1)


async def reveal(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show contact data in clear; the API has put on record who looked and why."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Revealing)
        route, reason = "/customers/{customer_id}/contacts/reveal", {"reason": wanted.reason}
        contacts = await api.post(Contacts, route, wanted.customer_id, body=reason)
        left = (contacts.masked_again_at - datetime.now(UTC)).total_seconds()
        return (customer_panel.clear(contacts, max(0.0, left)),)

    return await answered(request, Permission.REVEAL_CONTACTS, work, parts=1)


async def mask(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Hide contact data again."""

    async def work(_: Calls, __: Session) -> tuple[Markup, ...]:
        asked(event, Nothing)
        return (Markup(),)

    return await answered(request, Permission.REVEAL_CONTACTS, work, parts=1)
