"""The page of the people who find receipts: one box, the list, the paper and the customer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, cast

import gradio as gr
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from gradio_ui import render
from gradio_ui.api import Api, ApiProblem
from gradio_ui.doorway import portal_of, require
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.errors import Forbidden, InvalidInput, Unauthenticated
from receipts.identity import DIGITS, parse_receipt_id
from receipts.logs import REQUEST
from receipts.models import MAX_LINES

log = logging.getLogger(__name__)
_OPEN_A_RECEIPT = "Open a receipt to see it here"
_CUSTOMER_FOLLOWS = "The customer follows the open receipt"
# What the page's script asks for reaches Python as events of this one part.
_BRIDGE = """
const tell = ({detail}) => detail.kind === 'search' ? trigger('search', detail.data) : trigger('open', detail.data);
window.receiptsBridge && document.removeEventListener('rl:ask', window.receiptsBridge);
window.receiptsBridge = tell;
document.addEventListener('rl:ask', tell);
document.dispatchEvent(new Event('rl:ready'));
"""


class _Asked(BaseModel):
    """What a browser may send, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Asked):
    """A search."""

    text: Annotated[str, Field(min_length=1, max_length=300)]


class Opening(_Asked):
    """A receipt to open, with the line numbers that matched."""

    receipt_id: Annotated[str, Field(pattern=rf"^\d{{{DIGITS}}}$")]
    lines: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_LINES)], ...], Field(max_length=MAX_LINES)] = ()


def build() -> gr.Blocks:
    """Return the page. Its handlers hold no state: whoever asks is looked up each time."""
    with gr.Blocks(title="Receipts", analytics_enabled=False, fill_width=True) as blocks:
        top = _part("rl-top-box", "", _BRIDGE)
        chips = _part("rl-chips-box")
        with gr.Row(elem_id="rl-desk"):
            found = _part("rl-found-box")
            with gr.Row(elem_id="rl-detail"):
                paper = _part("rl-paper-box", render.placeholder(_OPEN_A_RECEIPT))
                customer = _part("rl-customer-box", render.placeholder(_CUSTOMER_FOLLOWS))
        # Unqueued: 2 ms of CPU instead of 10, and any process may answer. Private: not in the API's description.
        blocks.load(greet, None, [top, found], queue=False, show_progress="hidden", api_visibility="private")
        for event, handler, parts in (
            (top.search, search, [chips, found]),
            (top.open, open_receipt, [paper, customer]),
        ):
            event(
                handler,
                None,
                parts,
                queue=False,
                show_progress="hidden",
                api_visibility="private",
                trigger_mode="multiple",  # the script asks one at a time
            )
    return blocks


async def greet(request: gr.Request) -> tuple[str, ...]:
    """Show who is signed in and how to begin."""

    async def work(_: Api, session: Session) -> tuple[Markup, ...]:
        return render.top(session.display_name, session.role, session.principal_id), render.landing(
            session.display_name
        )

    return await _answered(request, work, parts=2)


async def search(event: gr.EventData, request: gr.Request) -> tuple[str, ...]:
    """Find receipts: by number when the text is one, else by what it says."""

    async def work(api: Api, session: Session) -> tuple[Markup, ...]:
        text = Question(text=event.text).text.strip()
        now = datetime.now(UTC)
        if _looks_like_a_number(text):
            found = await api.find_receipt(session.access_token, parse_receipt_id(text))
            return Markup(), render.single(found, now)
        answer = await api.search(session.access_token, text)
        return render.understood(answer, now), render.results(answer, text, now)

    return await _answered(request, work, parts=2)


async def open_receipt(event: gr.EventData, request: gr.Request) -> tuple[str, ...]:
    """Show a receipt on paper and the customer who holds it."""

    async def work(api: Api, session: Session) -> tuple[Markup, ...]:
        asked = Opening(receipt_id=event.receipt_id, lines=event.lines)
        found = await api.find_receipt(session.access_token, asked.receipt_id)
        paper = render.paper(found, frozenset(asked.lines))
        if found.receipt.customer_id is None:
            return paper, render.message("No customer on this receipt", "It was paid without a loyalty card.")
        return paper, await _customer(api, session, found.receipt.customer_id, asked.receipt_id)

    return await _answered(request, work, parts=2, last=1)


async def _customer(api: Api, session: Session, customer_id: str, opened: str) -> Markup:
    """Return the customer's panel; when that fails the paper is shown all the same."""
    try:
        context, history = await asyncio.gather(
            api.find_context(session.access_token, customer_id), api.list_receipts(session.access_token, customer_id)
        )
    except ApiProblem as problem:
        if problem.status == 404:
            return render.message("Customer not shown", "This customer belongs to another region.")
        return _sorry(problem)
    return render.customer(context, history, opened, datetime.now(UTC))


async def _answered(
    request: gr.Request, work: Callable[[Api, Session], Awaitable[tuple[Markup, ...]]], *, parts: int, last: int = 0
) -> tuple[str, ...]:
    """Do the work of a handler for a person who may; any failure becomes words in the part that waits for it."""
    try:
        came_in = cast("Request", request.request)  # None only when Gradio calls a function by itself
        session = await require(came_in, Permission.SEARCH_RECEIPTS)
        return tuple(str(part) for part in await work(portal_of(came_in).api, session))
    except Exception as error:  # noqa: BLE001 - Gradio would print it with the data in it
        said = str(_in_words(error))
    blank = ["" for _ in range(parts)]
    blank[-1 - last] = said
    return tuple(blank)


def _in_words(error: Exception) -> Markup:
    match error:
        case ApiProblem(status=401) | Unauthenticated():
            return render.message(
                "Your session has ended", "Sign in again; your search stays in the box.", kind="ended"
            )
        case ApiProblem(status=404):
            return render.message("No such receipt", "There is none with this number in your regions.")
        case ApiProblem():
            return _sorry(error)
        case InvalidInput():
            return render.message("That is not a receipt number", f"{error.problem[:1].upper()}{error.problem[1:]}.")
        case Forbidden():
            return render.message("Not permitted", str(error), kind="error")
        case ValidationError() | AttributeError():  # the event lacks what we ask of it
            return render.message("That cannot be searched", "Up to 300 characters are accepted.")
        case _:
            request_id = REQUEST.get()
            # Without the text of the error: it may quote a customer's data.
            log.error("portal request %s failed: %s", request_id, type(error).__name__)
            return render.message("Something went wrong here", "Try again.", request_id=request_id, kind="error")


def _sorry(problem: ApiProblem) -> Markup:
    kind = "note" if problem.status in (400, 422, 429) else "error"
    title = "That cannot be searched" if kind == "note" else "The search did not work"
    return render.message(title, problem.detail, request_id=problem.request_id if kind == "error" else "", kind=kind)


def _looks_like_a_number(text: str) -> bool:
    """Say whether someone typed or scanned a receipt number, perhaps with a misread digit or one too few."""
    bare = text.replace("-", "").replace("–", "").replace(" ", "")
    return bare.isascii() and bare.isdigit() and len(bare) >= DIGITS - 4


def _part(elem_id: str, value: str = "", js_on_load: str = "") -> gr.HTML:
    """Return a part of the page that shows finished HTML. Its template stays `${value}`: no data in templates, ever."""
    return gr.HTML(str(value), elem_id=elem_id, js_on_load=js_on_load or None, apply_default_css=False, padding=False)
