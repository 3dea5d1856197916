"""How a page asks and is answered: one bridge from its script, finished HTML for its parts, every failure in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import gradio as gr
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from gradio_ui import render
from gradio_ui.api import ApiProblem, Calls
from gradio_ui.doorway import portal_of, require
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.errors import Forbidden, InvalidInput, Unauthenticated
from receipts.logs import REQUEST

log = logging.getLogger(__name__)
# What a page's script asks for reaches Python as events of one part, named for what is asked. Gradio makes events only
# of names that it finds in the script.
_BRIDGE = """
const kinds = %s;
const tell = ({detail}) => kinds.includes(detail.kind) && trigger(detail.kind, detail.data);
window.receiptsBridge && document.removeEventListener('rl:ask', window.receiptsBridge);
window.receiptsBridge = tell;
document.addEventListener('rl:ask', tell);
document.dispatchEvent(new Event('rl:ready'));
"""
_TOLD_AS_NOTE = (400, 409, 422, 429)  # what the person who asked can mend

Handler = Callable[..., Awaitable[tuple[Any, ...]]]
Work = Callable[[Calls, Session], Awaitable[Sequence[Markup]]]
AskedT = TypeVar("AskedT", bound="Asked")


class Asked(BaseModel):
    """What a browser may send with an event, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    kind: str = ""  # the event's own name, which the script adds


class Nothing(Asked):
    """A question without particulars."""


def asked(event: gr.EventData, model: type[AskedT]) -> AskedT:
    """Return what an event brought, checked; raises ValidationError."""
    return model.model_validate(vars(event)["_data"])  # Gradio offers single attributes only


def part(elem_id: str, value: str = "") -> gr.HTML:
    """Return a part of the page that shows finished HTML. Its template stays `${value}`: no data in templates, ever."""
    return gr.HTML(str(value), elem_id=elem_id, apply_default_css=False, padding=False)


def listening(elem_id: str, kinds: Iterable[str]) -> gr.HTML:
    """Return the part through which the page's script asks for these kinds; it shows finished HTML as others do."""
    script = _BRIDGE % json.dumps(list(kinds))
    return gr.HTML("", elem_id=elem_id, js_on_load=script, apply_default_css=False, padding=False)


def listen(through: gr.HTML, answers: Mapping[str, tuple[Handler, Sequence[gr.HTML]]]) -> None:
    """Let each kind of question be answered by its handler in the parts that it fills.

    Unqueued: 2 ms of CPU instead of 10, and any process may answer. Private: not in the API's description.
    """
    for kind, (handler, shows) in answers.items():
        event = getattr(through, kind)
        event(
            handler,
            None,
            list(shows),
            queue=False,
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",  # the script asks one of a kind at a time
        )


def greet(blocks: gr.Blocks, handler: Handler, shows: Sequence[gr.HTML]) -> None:
    """Let a handler fill the page when it is opened."""
    blocks.load(handler, None, list(shows), queue=False, show_progress="hidden", api_visibility="private")


async def answered(
    request: gr.Request, permission: Permission, work: Work, *, parts: int, fails_in: int = 0, keeps: bool = False
) -> tuple[Any, ...]:
    """Do the work of a handler for a person who may; any failure becomes words in the part numbered `fails_in`.

    The other parts are emptied then, because they would tell of something else, or stay as they are with `keeps`.
    """
    try:
        came_in = cast("Request", request.request)  # None only when Gradio calls a function by itself
        session = await require(came_in, permission)
        return tuple(str(shown) for shown in await work(portal_of(came_in).api.of(session), session))
    except Exception as error:  # noqa: BLE001 - Gradio would print it with the data in it
        said = str(_in_words(error))
    blank: list[Any] = [gr.skip() if keeps else "" for _ in range(parts)]
    blank[fails_in] = said
    return tuple(blank)


async def either(shown: Awaitable[Markup]) -> Markup:
    """Return what is shown, or words in its place: one part that fails leaves the others."""
    try:
        return await shown
    except ApiProblem as problem:
        if problem.status == 401:
            raise
        return sorry(problem)


def sorry(problem: ApiProblem) -> Markup:
    """Return a problem of the API in words; its number is shown where only somebody else can help."""
    if problem.status in _TOLD_AS_NOTE:
        return render.message("That cannot be done", _sentence(problem.detail))
    return render.message("That did not work", problem.detail, request_id=problem.request_id, kind="error")


def _sentence(detail: str) -> str:
    """Return what the API says of a field, such as "reason: is needed to refuse", as a person would say it."""
    field, colon, problem = detail.partition(": ")
    if not colon or not field.isidentifier():
        return detail
    return problem if problem[:1].isupper() else f"{field.replace('_', ' ').capitalize()} {problem}."


def _in_words(error: Exception) -> Markup:
    match error:
        case ApiProblem(status=401) | Unauthenticated():
            return render.message("Your session has ended", "Sign in again; what you typed stays.", kind="ended")
        case ApiProblem(status=404):
            return render.message("Not found", "There is none with this number in your regions.")
        case ApiProblem():
            return sorry(error)
        case InvalidInput():
            return render.message("That is not a receipt number", f"{error.problem[:1].upper()}{error.problem[1:]}.")
        case Forbidden():
            return render.message("Not permitted", str(error), kind="error")
        case ValidationError():
            return render.message("That cannot be asked", _first_fault(error))
        case _:
            request_id = REQUEST.get()
            # Without the text of the error: it may quote a customer's data.
            log.error("portal request %s failed: %s", request_id, type(error).__name__)
            return render.message("Something went wrong here", "Try again.", request_id=request_id, kind="error")


def _first_fault(error: ValidationError) -> str:
    fault: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(step) for step in fault["loc"]).replace("_", " ")
    text = str(fault["msg"]).removeprefix("Value error, ")
    return f"{field.capitalize()}: {text[:1].lower()}{text[1:]}." if field else f"{text}."
