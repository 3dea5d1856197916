"""A receipt opened: on paper, with what became of it, and the customer who holds it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import gradio as gr
from markupsafe import Markup
from pydantic import AfterValidator, Field, StringConstraints

from gradio_ui import customer_panel, render
from gradio_ui.answers import CustomerContext, FullReceipt, History, Story
from gradio_ui.api import ApiProblem, Calls
from gradio_ui.asking import Asked, answered, asked, sorry
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.identity import DIGITS
from receipts.models import MAX_LINES

ReceiptId = Annotated[str, StringConstraints(pattern=rf"^\d{{{DIGITS}}}$")]
_STORY = "/receipt/{receipt_id}/timeline"


def _check_zone(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("expected a time zone such as America/New_York") from None


class Opening(Asked):
    """A receipt to open, with the line numbers that matched."""

    receipt_id: ReceiptId
    lines: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_LINES)], ...], Field(max_length=MAX_LINES)] = ()


class Telling(Asked):
    """A receipt whose story is wanted again, by the clock that it was told by before."""

    receipt_id: ReceiptId
    zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_check_zone)]


async def open_receipt(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show a receipt, its story, its customer and the customer's other receipts; contacts shown before are hidden."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Opening)
        found, story = await asyncio.gather(
            api.get(FullReceipt, "/receipt/{receipt_id}", wanted.receipt_id), _story(api, wanted.receipt_id)
        )
        customer_id, now = found.receipt.customer_id, datetime.now(UTC)
        context, history = await _customer(api, customer_id)
        paper = render.paper(found, frozenset(wanted.lines), _mail_of(session, context))
        told = render.story(story, found.store.time_zone, now) if isinstance(story, Story) else story
        shown_context = customer_panel.panel(context, session) if isinstance(context, CustomerContext) else context
        shown_history = (
            customer_panel.history(history, wanted.receipt_id, now) if isinstance(history, History) else Markup()
        )
        return paper, told, Markup(), shown_context, shown_history

    return await answered(request, Permission.READ_RECEIPTS, work, parts=5)


async def tell_story(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show anew what became of a receipt, such as a mail that has just been sent; the receipt itself is not read."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Telling)
        story = await api.get(Story, _STORY, wanted.receipt_id)
        return (render.story(story, wanted.zone, datetime.now(UTC)),)

    return await answered(request, Permission.READ_RECEIPTS, work, parts=1)


async def _story(api: Calls, receipt_id: str) -> Story | Markup:
    """Return a receipt's story; when that fails the paper is shown all the same."""
    try:
        return await api.get(Story, _STORY, receipt_id)
    except ApiProblem as problem:
        return Markup() if problem.status == 404 else sorry(problem)


async def _customer(api: Calls, customer_id: str | None) -> tuple[CustomerContext | Markup, History | None]:
    """Return who holds a receipt with the first page of receipts; when that fails the paper is shown all the same."""
    if customer_id is None:
        return render.message("No customer on this receipt", "It was paid without a loyalty card."), None
    try:
        return await asyncio.gather(
            api.get(CustomerContext, "/cs/context/{customer_id}", customer_id),
            api.get(History, "/customers/{customer_id}/receipts", customer_id),
        )
    except ApiProblem as problem:
        if problem.status == 404:
            return render.message("Customer not shown", "This customer belongs to another region."), None
        return sorry(problem), None


def _mail_of(session: Session, context: CustomerContext | Markup) -> str | None:
    """Return the masked address on file, "" where there is none, or None for who may not mail at all."""
    if not session.may(Permission.DELIVER_RECEIPTS):
        return None
    return context.customer.email_masked if isinstance(context, CustomerContext) else ""
