"""The fraud team's page: what stands out across customers, plotted, explained, and down to the receipts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

import gradio as gr
from markupsafe import Markup
from pydantic import Field, StringConstraints

from gradio_ui import plots, render
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, answered, asked, either, greet, listen, listening, part
from gradio_ui.desk_answers import Flag, PatternReceipts, Patterns, PatternSummary
from gradio_ui.flag_words import FLAG_REASONS
from gradio_ui.navigation import FRAUD
from gradio_ui.pages.supervisor import Raising
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.access import Permission

_KINDS = ("patterns", "drill", "raise")
_SHOWN, _STORES = 30, 8  # patterns on a page, and stores in the plot: as many as are taken in at a glance


class Filter(Asked):
    """Which patterns are shown."""

    pattern: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] | None = None
    since: date | None = None
    cursor: Annotated[str, Field(max_length=200)] | None = None


class Drill(Asked):
    """A pattern whose receipts are wanted."""

    pattern_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]


def build() -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Fraud patterns", analytics_enabled=False, fill_width=True) as blocks:
        bar = listening("rl-top-box", _KINDS)
        with gr.Row(elem_id="rl-desk"):
            with gr.Column(elem_id="rl-first"):
                drawn, patterns = part("rl-plots-box"), part("rl-patterns-box")
            with gr.Column(elem_id="rl-second"):
                drill, flagged = (
                    part("rl-drill-box", render.placeholder("Choose a pattern to see its receipts")),
                    part("rl-flagged-box"),
                )
        greet(blocks, welcome, [bar, drawn, patterns])
        listen(
            bar,
            {
                "patterns": (show_patterns, [drawn, patterns]),
                "drill": (show_receipts, [drill, flagged]),
                "raise": (flag, [flagged]),
            },
        )
    return blocks


async def welcome(request: gr.Request) -> tuple[Any, ...]:
    """Show what stands out."""

    async def work(api: Calls, session: Session) -> tuple[Markup, ...]:
        return render.top(session, FRAUD), await either(_plots(api, Filter())), await either(_patterns(api, Filter()))

    return await answered(request, Permission.READ_FRAUD_PATTERNS, work, parts=3, fails_in=1)


async def show_patterns(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show patterns of a kind, or of all, since a month."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, Filter)
        return await either(_plots(api, wanted)), await _patterns(api, wanted)

    return await answered(request, Permission.READ_FRAUD_PATTERNS, work, parts=2)


async def show_receipts(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show the receipts behind a pattern."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        pattern_id = asked(event, Drill).pattern_id
        told = await api.get(PatternReceipts, "/fraud/patterns/{pattern_id}/receipts", pattern_id)
        return rendered("desk/drill.html", told=told, reasons=FLAG_REASONS, now=datetime.now(UTC)), Markup()

    return await answered(request, Permission.READ_FRAUD_PATTERNS, work, parts=2)


async def flag(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Raise a flag about what a pattern shows."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        raised = await api.post(Flag, "/fraud/flags", body=asked(event, Raising).model_dump(exclude={"kind"}))
        return (
            render.message(f"Flag {raised.flag_id} is raised", "Somebody else reviews it, on the supervision page."),
        )

    return await answered(request, Permission.FLAG_FRAUD, work, parts=1)


async def _plots(api: Calls, wanted: Filter) -> Markup:
    told = await api.get(PatternSummary, "/fraud/patterns/summary", since=wanted.since)
    stores = plots.bars([(one.store_name, one.patterns) for one in told.by_store[:_STORES]])
    kinds = list(dict.fromkeys(one.kind for one in told.by_kind))
    return rendered("desk/plots.html", months=plots.months(told.by_kind), stores=stores, kinds=kinds, wanted=wanted)


async def _patterns(api: Calls, wanted: Filter) -> Markup:
    told = await api.get(
        Patterns, "/fraud/patterns", kind=wanted.pattern, since=wanted.since, cursor=wanted.cursor, limit=_SHOWN
    )
    return rendered("desk/patterns.html", told=told, wanted=wanted)
