"""The administrators' page: whether the platform is well, how late it is, and the desk for refused records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import gradio as gr
from markupsafe import Markup
from pydantic import Field, StringConstraints, model_validator

from gradio_ui import render
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, Nothing, answered, asked, either, greet, listen, listening, part
from gradio_ui.desk_answers import HeldRecord, Order, PlatformStatus, Refusals
from gradio_ui.navigation import ADMIN
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.access import Permission

_KINDS = ("status", "refusals", "record", "order")
_MOST_LETTERS = 60_000  # of a record that is corrected by hand; the API takes 64 KiB with what is around it
Number = Annotated[int, Field(ge=1, lt=2**63)]


class Refused(Asked):
    """Which refused records are shown."""

    state: Literal["held", "replayed", "fixed", "dismissed"] | None = None
    cursor: Number | None = None


class Held(Asked):
    """One refused record."""

    quarantine_id: Number


class Ordering(Held):
    """What is to become of a refused record; `payload` is the whole corrected one."""

    action: Literal["replay", "fix", "dismiss"]
    payload: Annotated[str, StringConstraints(max_length=_MOST_LETTERS)] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.action == "fix":
            self.corrected()
        return self

    def corrected(self) -> dict[str, Any]:
        """Return the corrected record; raises ValueError in words when it is no JSON object."""
        try:
            found = json.loads(self.payload or "")
        except ValueError as error:
            raise ValueError(f"the corrected record is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise TypeError("the corrected record must be one JSON object")
        return found


def build() -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Operations", analytics_enabled=False, fill_width=True) as blocks:
        bar = listening("rl-top-box", _KINDS)
        with gr.Row(elem_id="rl-desk"):
            with gr.Column(elem_id="rl-first"):
                status = part("rl-status-box")
            with gr.Column(elem_id="rl-second"):
                said, record, refusals = part("rl-said-box"), part("rl-record-box"), part("rl-refusals-box")
        greet(blocks, welcome, [bar, status, refusals])
        listen(
            bar,
            {
                "status": (show_status, [status]),
                "refusals": (show_refusals, [refusals]),
                "record": (show_record, [said, record]),
                "order": (order, [said, record, refusals]),
            },
        )
    return blocks


async def welcome(request: gr.Request) -> tuple[Any, ...]:
    """Show how the platform is, and what was refused."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        status, refusals = await either(_status(api)), await either(_refusals(api, Refused(state="held")))
        return render.top(session, ADMIN), status, refusals

    return await answered(request, Permission.OPERATE, work, parts=3, fails_in=1)


async def show_status(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show how the platform is now."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        asked(event, Nothing)
        return (await _status(api),)

    return await answered(request, Permission.OPERATE, work, parts=1)


async def show_refusals(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show refused records by what became of them."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        return (await _refusals(api, asked(event, Refused)),)

    return await answered(request, Permission.OPERATE, work, parts=1)


async def show_record(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show one refused record with its text; the look is on record."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        found = await api.get(HeldRecord, "/admin/quarantine/{quarantine_id}", str(asked(event, Held).quarantine_id))
        return Markup(), rendered("desk/record.html", record=found, payload=_laid_out(found.payload))

    return await answered(request, Permission.OPERATE, work, parts=2, keeps=True)


async def order(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Order that a refused record be replayed, corrected or dismissed; a gateway does it a moment later."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Ordering)
        body: dict[str, object] = {"action": wanted.action}
        if wanted.action == "fix":
            body["payload"] = wanted.corrected()
        made = await api.post(Order, "/admin/quarantine/{quarantine_id}/orders", str(wanted.quarantine_id), body=body)
        said = render.message(f"Order {made.order_id} is given", "A gateway carries it out within moments.")
        return said, Markup(), await _refusals(api, Refused(state="held"))

    return await answered(request, Permission.OPERATE, work, parts=3, keeps=True)


async def _status(api: Calls) -> Markup:
    return rendered("desk/status.html", told=await api.get(PlatformStatus, "/admin/status"), now=datetime.now(UTC))


async def _refusals(api: Calls, wanted: Refused) -> Markup:
    told = await api.get(Refusals, "/admin/quarantine/", state=wanted.state, cursor=wanted.cursor)
    return rendered("desk/refusals.html", told=told, state=wanted.state)


def _laid_out(payload: str) -> str:
    """Return a record's text, laid out to be read and corrected where it is JSON."""
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        return payload
