"""A receipt on its way to the customer by mail: asked for, taken back, looked after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import gradio as gr
from markupsafe import Markup
from pydantic import StringConstraints, model_validator

from gradio_ui import render
from gradio_ui.answers import Delivery
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, answered, asked
from gradio_ui.rep.opening import ReceiptId
from gradio_ui.sessions import Session
from receipts.access import Permission

_DELIVERY = "/receipt/deliver/{delivery_id}"


class Letter(Asked):
    """A receipt to mail: to the address on file, or to one that the customer says."""

    receipt_id: ReceiptId
    to: Literal["file", "typed"] = "typed"
    email: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    gift: bool = False

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if (self.to == "typed") == (self.email is None):
            raise ValueError("type an address, or take the one on file")
        return self


class OnItsWay(Asked):
    """A mail that was asked for."""

    delivery_id: UUID


async def deliver(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Have a receipt mailed in a moment, in which it can be taken back."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        letter = asked(event, Letter)
        body = {"receipt_id": letter.receipt_id, "email": letter.email, "gift": letter.gift}
        return (_shown(await api.post(Delivery, "/receipt/deliver/", body=body)),)

    return await answered(request, Permission.DELIVER_RECEIPTS, work, parts=1)


async def undo(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Take a mail back."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        mail = str(asked(event, OnItsWay).delivery_id)
        return (_shown(await api.post(Delivery, f"{_DELIVERY}/undo", mail)),)

    return await answered(request, Permission.DELIVER_RECEIPTS, work, parts=1)


async def look_after(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Say where a mail is."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        return (_shown(await api.get(Delivery, _DELIVERY, str(asked(event, OnItsWay).delivery_id))),)

    return await answered(request, Permission.DELIVER_RECEIPTS, work, parts=1)


def _shown(delivery: Delivery) -> Markup:
    return render.snack(delivery, max(0.0, (delivery.send_at - datetime.now(UTC)).total_seconds()))
