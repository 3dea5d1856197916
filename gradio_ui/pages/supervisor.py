"""The supervisors' page: receipts to take away, and suspicions that are raised and reviewed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

import gradio as gr
from markupsafe import Markup
from pydantic import Field, StringConstraints, model_validator

from gradio_ui import render
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, Nothing, answered, asked, either, greet, listen, listening, part
from gradio_ui.desk_answers import Export, Exports, Flag, Flags
from gradio_ui.flag_words import FLAG_REASONS
from gradio_ui.navigation import SUPERVISOR
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.access import Permission

_KINDS = ("export", "exports", "raise", "flags", "review")
EXPORT_REASONS = {
    "audit_request": "an audit", "chargeback": "a chargeback", "legal": "a legal matter",
    "analysis": "analysis", "other": "another reason",
}  # fmt: skip
Note = Annotated[str, StringConstraints(max_length=500)]


class Exporting(Asked):
    """Which receipts are to be taken away, as what, and why."""

    date_from: date
    date_to: date
    stores: Annotated[str, StringConstraints(pattern=r"^\d{1,5}(\s*,\s*\d{1,5})*$", max_length=1_000)] | None = None
    format: Literal["csv", "parquet"] = "csv"
    reason: Literal["audit_request", "chargeback", "legal", "analysis", "other"]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.date_from > self.date_to:
            raise ValueError("the first day lies after the last")
        return self


class Raising(Asked):
    """A suspicion about a receipt or a customer."""

    subject: Literal["receipt", "customer"]
    subject_id: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    reason: Literal["return_abuse", "card_misuse", "identity", "employee", "other"]
    note: Note = ""


class Listing(Asked):
    """Which flags are shown."""

    state: Literal["open", "confirmed", "cleared"] | None = None
    cursor: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class Review(Asked):
    """What somebody else found about a flag."""

    flag_id: Annotated[int, Field(ge=1)]
    outcome: Literal["confirmed", "cleared"]
    note: Note = ""


def build() -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Supervision", analytics_enabled=False, fill_width=True) as blocks:
        bar = listening("rl-top-box", _KINDS)
        with gr.Row(elem_id="rl-desk"):
            with gr.Column(elem_id="rl-first"):
                form, unready, exports = part("rl-form-box"), part("rl-said-box"), part("rl-exports-box")
            with gr.Column(elem_id="rl-second"):
                raising, wrong, flags = part("rl-raising-box"), part("rl-wrong-box"), part("rl-flags-box")
        greet(blocks, welcome, [bar, form, exports, raising, flags])
        listen(
            bar,
            {
                "export": (export, [unready, exports]),
                "exports": (show_exports, [exports]),
                "raise": (raise_flag, [wrong, flags]),
                "flags": (show_flags, [flags]),
                "review": (review, [wrong, flags]),
            },
        )
    return blocks


async def welcome(request: gr.Request) -> tuple[Any, ...]:
    """Show both halves with what is there."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        today = datetime.now(UTC).date()
        return (
            render.top(session, SUPERVISOR),
            rendered("desk/export_form.html", today=today, reasons=EXPORT_REASONS),
            await either(_exports(api)),
            rendered("desk/flag_form.html", reasons=FLAG_REASONS),
            await either(_flags(api, session, Listing(state="open"))),
        )

    return await answered(request, Permission.EXPORT_RECEIPTS, work, parts=5, fails_in=2)


async def export(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Prepare an export; its rows are counted now and sent when they are fetched."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Exporting)
        body = wanted.model_dump(mode="json", exclude={"kind", "stores"})
        if wanted.stores:
            body["store_ids"] = [int(one) for one in wanted.stores.split(",")]
        await api.post(Export, "/export/receipts", body=body)
        return Markup(), await _exports(api)

    return await answered(request, Permission.EXPORT_RECEIPTS, work, parts=2, keeps=True)


async def show_exports(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show how far one's exports are."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        asked(event, Nothing)
        return (await _exports(api),)

    return await answered(request, Permission.EXPORT_RECEIPTS, work, parts=1)


async def raise_flag(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Raise a suspicion and show it among the open ones."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        await api.post(Flag, "/fraud/flags", body=asked(event, Raising).model_dump(exclude={"kind"}))
        return Markup(), await _flags(api, session, Listing(state="open"))

    return await answered(request, Permission.FLAG_FRAUD, work, parts=2, keeps=True)


async def show_flags(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show flags by their state."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        return (await _flags(api, session, asked(event, Listing)),)

    return await answered(request, Permission.FLAG_FRAUD, work, parts=1)


async def review(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Confirm or clear what somebody else has raised."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        found = asked(event, Review)
        body = {"outcome": found.outcome, "note": found.note}
        await api.post(Flag, "/fraud/flags/{flag_id}/review", str(found.flag_id), body=body)
        return Markup(), await _flags(api, session, Listing(state="open"))

    return await answered(request, Permission.FLAG_FRAUD, work, parts=2, keeps=True)


async def _exports(api: Calls) -> Markup:
    told = await api.get(Exports, "/export/receipts/")
    return rendered("desk/exports.html", exports=told.exports, now=datetime.now(UTC))


async def _flags(api: Calls, session: Session, wanted: Listing) -> Markup:
    told = await api.get(Flags, "/fraud/flags", state=wanted.state, cursor=wanted.cursor)
    known = {"state": wanted.state, "reasons": FLAG_REASONS, "me": session.principal_id, "now": datetime.now(UTC)}
    return rendered("desk/flags.html", told=told, **known)
