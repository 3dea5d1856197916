"""The page of the people who find receipts: one box, the list, the paper, its story and the customer."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from gradio_ui import render
from gradio_ui.api import Calls
from gradio_ui.asking import answered, greet, listen, listening, part
from gradio_ui.navigation import REP
from gradio_ui.rep.contacts import history, mask, reveal
from gradio_ui.rep.finding import more, search, search_fields
from gradio_ui.rep.mailing import deliver, look_after, undo
from gradio_ui.rep.opening import open_receipt, tell_story
from gradio_ui.sessions import Session
from receipts.access import Permission

_OPEN_A_RECEIPT = "Open a receipt to see it here"
_CUSTOMER_FOLLOWS = "The customer follows the open receipt"


_KINDS = ("search", "fields", "more", "open", "story", "history", "reveal", "mask", "deliver", "undo", "delivery")


def build() -> gr.Blocks:
    """Return the page. Its handlers hold no state: whoever asks is looked up each time."""
    with gr.Blocks(title="Receipts", analytics_enabled=False, fill_width=True) as blocks:
        bar = listening("rl-top-box", _KINDS)
        form, chips = part("rl-fields-box"), part("rl-chips-box")
        with gr.Row(elem_id="rl-desk"):
            with gr.Column(elem_id="rl-left"):
                found, following = part("rl-found-box"), part("rl-more-box")
            with gr.Row(elem_id="rl-detail"):
                with gr.Column(elem_id="rl-middle"):
                    paper, story = part("rl-paper-box", render.placeholder(_OPEN_A_RECEIPT)), part("rl-story-box")
                with gr.Column(elem_id="rl-right"):
                    clear = part("rl-clear-box")
                    customer = part("rl-customer-box", render.placeholder(_CUSTOMER_FOLLOWS))
                    older = part("rl-history-box")
        snack = part("rl-snack-box")
        greet(blocks, welcome, [bar, form, found])
        listen(
            bar,
            {
                "search": (search, [chips, found]),
                "fields": (search_fields, [chips, found]),
                "more": (more, [following]),
                "open": (open_receipt, [paper, story, clear, customer, older]),
                "story": (tell_story, [story]),
                "history": (history, [older]),
                "reveal": (reveal, [clear]),
                "mask": (mask, [clear]),
                "deliver": (deliver, [snack]),
                "undo": (undo, [snack]),
                "delivery": (look_after, [snack]),
            },
        )
    return blocks


async def welcome(request: gr.Request) -> tuple[Any, ...]:
    """Show who is signed in and how to begin."""

    async def work(_: Calls, session: Session) -> tuple[Markup, ...]:
        return render.top(session, REP), render.fields(), render.landing(session.display_name)

    return await answered(request, Permission.SEARCH_RECEIPTS, work, parts=3, fails_in=2)
