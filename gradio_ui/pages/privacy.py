"""The privacy officers' page: who saw what, and what people have asked us to show or to forget."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import gradio as gr
from markupsafe import Markup
from pydantic import Field, StringConstraints

from gradio_ui import render
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, answered, asked, either, greet, listen, listening, part
from gradio_ui.desk_answers import PrivacyRequest, PrivacyRequests, Trail
from gradio_ui.navigation import PRIVACY
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.models import CustomerId

_KINDS = ("trail", "requests", "request", "case", "step")
Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
# What may be done next about a request, by its state. The API decides; here it is which buttons there are.
STEPS = {
    "received": ("confirm", "verify_identity", "extend", "refuse"),
    "verified": ("start", "extend", "refuse"),
    "in_progress": ("approve", "complete", "extend", "refuse"),
    "approved": ("complete", "extend", "refuse"),
}


class Looks(Asked):
    """Which events of the trail are wanted."""

    principal_id: Id | None = None
    customer_id: Id | None = None
    receipt_id: Annotated[str, StringConstraints(pattern=r"^[\d-]{22,30}$")] | None = None
    route: Id | None = None
    outcome: Id | None = None
    date_from: date | None = None
    date_to: date | None = None
    cursor: Annotated[str, Field(max_length=300)] | None = None

    def parameters(self) -> dict[str, object]:
        """Return what the API is asked with; the days are whole days of UTC."""
        told = self.model_dump(exclude={"kind", "date_from", "date_to"}, exclude_none=True)
        if self.receipt_id:
            told["receipt_id"] = self.receipt_id.replace("-", "")
        if self.date_from:
            told["from"] = f"{self.date_from}T00:00:00Z"
        if self.date_to:
            told["to"] = f"{self.date_to}T23:59:59.999999Z"
        return told


class Requests(Asked):
    """Which requests of people are shown."""

    state: Literal["received", "verified", "in_progress", "approved", "completed", "refused"] | None = None
    cursor: Annotated[str, Field(max_length=200)] | None = None


class NewRequest(Asked):
    """What somebody asks for."""

    request: Literal["access", "erasure"]
    law: Literal["gdpr", "ccpa"]
    customer_id: CustomerId
    channel: Literal["phone", "email", "letter", "store", "agent"]
    received_on: date | None = None


class Case(Asked):
    """One request."""

    request_id: Annotated[int, Field(ge=1)]


class NextStep(Case):
    """What is done about a request."""

    step: Literal["confirm", "verify_identity", "start", "extend", "refuse", "approve", "complete"]
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


def build() -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Privacy", analytics_enabled=False, fill_width=True) as blocks:
        bar = listening("rl-top-box", _KINDS)
        with gr.Row(elem_id="rl-desk"):
            with gr.Column(elem_id="rl-first"):
                form, requests = part("rl-form-box"), part("rl-requests-box")
            with gr.Column(elem_id="rl-second"):
                said, case = part("rl-said-box"), part("rl-case-box")
                filters, trail = part("rl-filters-box"), part("rl-trail-box")
        greet(blocks, welcome, [bar, form, requests, filters, trail])
        listen(
            bar,
            {
                "trail": (show_trail, [trail]),
                "requests": (show_requests, [requests]),
                "request": (open_request, [said, requests, case]),
                "case": (show_case, [said, case]),
                "step": (take_step, [said, requests, case]),
            },
        )
    return blocks


async def welcome(request: gr.Request) -> tuple[Any, ...]:
    """Show the requests that are due first, and the newest looks."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        today = datetime.now(UTC).date()
        return (
            render.top(session, PRIVACY),
            rendered("desk/request_form.html", today=today),
            await either(_requests(api, Requests())),
            rendered("desk/trail_form.html"),
            await either(_trail(api, Looks())),
        )

    return await answered(request, Permission.FULFIL_PRIVACY_REQUESTS, work, parts=5, fails_in=4)


async def show_trail(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Search the audit trail; the search is on record itself."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        return (await _trail(api, asked(event, Looks)),)

    return await answered(request, Permission.READ_AUDIT, work, parts=1)


async def show_requests(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show requests by their state."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        return (await _requests(api, asked(event, Requests)),)

    return await answered(request, Permission.FULFIL_PRIVACY_REQUESTS, work, parts=1)


async def open_request(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Put a request on record; its clock runs from the day it was received."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        new = asked(event, NewRequest)
        body = new.model_dump(mode="json", exclude={"kind", "request"}, exclude_none=True) | {"kind": new.request}
        made = await api.post(PrivacyRequest, "/compliance/requests", body=body)
        return Markup(), await _requests(api, Requests()), _case(made)

    return await answered(request, Permission.FULFIL_PRIVACY_REQUESTS, work, parts=3, keeps=True)


async def show_case(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show a request with all that was done about it."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        case = str(asked(event, Case).request_id)
        return Markup(), _case(await api.get(PrivacyRequest, "/compliance/requests/{request_id}", case))

    return await answered(request, Permission.FULFIL_PRIVACY_REQUESTS, work, parts=2, keeps=True)


async def take_step(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Do something about a request."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, NextStep)
        body = {"step": wanted.step} | ({"reason": wanted.reason} if wanted.reason else {})
        route = "/compliance/requests/{request_id}/steps"
        case = await api.post(PrivacyRequest, route, str(wanted.request_id), body=body)
        return Markup(), await _requests(api, Requests()), _case(case)

    return await answered(request, Permission.FULFIL_PRIVACY_REQUESTS, work, parts=3, keeps=True)


async def _trail(api: Calls, wanted: Looks) -> Markup:
    told = await api.get(Trail, "/audit/log", limit=50, **wanted.parameters())
    again = wanted.model_dump(mode="json", exclude={"kind", "cursor"}, exclude_none=True)
    return rendered("desk/trail.html", told=told, again=again, file=f"/audit.csv?{urlencode(again)}")


async def _requests(api: Calls, wanted: Requests) -> Markup:
    told = await api.get(PrivacyRequests, "/compliance/requests", state=wanted.state, cursor=wanted.cursor)
    return rendered("desk/requests.html", told=told, state=wanted.state, today=datetime.now(UTC).date())


def _case(case: PrivacyRequest) -> Markup:
    steps = [step for step in STEPS.get(case.state, ()) if step != "approve" or case.kind == "erasure"]
    return rendered("desk/case.html", case=case, steps=steps, today=datetime.now(UTC).date())
