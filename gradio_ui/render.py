"""What the reps' page shows of what the API answered, and the small pages outside Gradio."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from gradio_ui import barcode
from gradio_ui.answers import Delivery, FullReceipt, Hit, ReceiptSummary, SearchAnswer, Story
from gradio_ui.navigation import Page, pages_of
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.models import TenderType
from receipts.paper import group_lines

EXAMPLES = (
    "chicken from East Liberty last Tuesday",
    "fancy cheese",
    "$42 at Shadyside yesterday",
    "card ending 4242 last week",
)
_ITEMS_SHOWN = 4
_STORY_WORDS = {
    "sold": "Sold",
    "received": "Received from the till",
    "refined": "Refined",
    "returned": "Returned",
    "mailed": "Mailed",
    "viewed": "Viewed",
}


def landing(name: str) -> Markup:
    """Return the list before any search: what can be asked, and the keys."""
    return rendered("landing.html", name=name.split(" ", maxsplit=1)[0], examples=EXAMPLES)


def fields() -> Markup:
    """Return the form that searches by single fields; it is hidden until it is asked for."""
    return rendered("fields.html", tenders={tender.value: tender.replace("_", " ") for tender in TenderType})


def results(answer: SearchAnswer, asked: Mapping[str, object], now: datetime) -> Markup:
    """Return the list of hits, or what to drop when there is none; `asked` is the question, for its next page."""
    if not answer.hits:
        query = str(asked.get("text", "these fields"))
        return rendered("no_match.html", understood=answer.understood, relaxations=answer.relaxations, query=query)
    return rendered("results.html", answer=answer, asked=asked, now=now, opened=None)


def more(answer: SearchAnswer, asked: Mapping[str, object], after: str, shown: int) -> Markup:
    """Return the page of a list that follows the cursor `after`, when `shown` hits stand there already."""
    return rendered("more.html", answer=answer, asked=asked, after=after, shown=shown, now=datetime.now(UTC))


def single(found: FullReceipt, now: datetime) -> Markup:
    """Return a list of the one receipt whose number was given; the page opens it by itself."""
    hit = Hit(receipt=summarise(found), matched_on=(), highlights=())
    return rendered(
        "results.html", answer=SearchAnswer(hits=(hit,)), asked={}, now=now, opened=found.receipt.receipt_id
    )


def understood(answer: SearchAnswer, now: datetime) -> Markup:
    """Return the chips that say how the query was read."""
    return rendered("understood.html", understood=answer.understood, now=now)


def paper(found: FullReceipt, marked: frozenset[int], email_masked: str | None = "") -> Markup:
    """Return the receipt as the till printed it; `marked` holds the line numbers that matched.

    `email_masked` is the address on file, "" where there is none, and None for who may not mail receipts.
    """
    receipt = found.receipt
    local = receipt.purchased_at.astimezone(ZoneInfo(found.store.time_zone))
    return rendered(
        "paper.html",
        receipt=receipt,
        store=found.store,
        local=local,
        lines=group_lines(receipt.lines, marked),
        barcode=barcode.svg(receipt.receipt_id),
        may_mail=email_masked is not None,
        email_masked=email_masked,
    )


def story(told: Story, zone: str, now: datetime) -> Markup:
    """Return what became of a receipt, by the store's clock."""
    return rendered("story.html", story=told, zone=ZoneInfo(zone), words=_STORY_WORDS, now=now)


def snack(delivery: Delivery, seconds: float) -> Markup:
    """Return the note about a mail; `seconds` are left in which it can be taken back."""
    return rendered("snack.html", delivery=delivery, seconds=seconds)


def message(title: str, detail: str, *, request_id: str = "", kind: str = "note") -> Markup:
    """Return a state of the page in words; `kind` is note, error or ended (the session)."""
    return rendered("message.html", title=title, detail=detail, request_id=request_id, kind=kind)


def placeholder(text: str) -> Markup:
    """Return the outline of a part that waits to be filled."""
    return rendered("placeholder.html", text=text)


def top(session: Session, here: Page) -> Markup:
    """Return the bar with the search box, where receipts are found, the other pages and who is signed in."""
    return rendered(
        "top.html",
        name=session.display_name,
        role=session.role.replace("_", " "),
        principal_id=session.principal_id,
        pages=pages_of(session),
        here=here,
    )


def page(
    title: str, detail: str, *, action: str = "", target: str = "", post: bool = False, principal_id: str = ""
) -> str:
    """Return a whole small page outside Gradio; with `principal_id` it tells other tabs who is signed in."""
    values = {"title": title, "detail": detail, "action": action, "target": target, "post": post}
    return str(rendered("page.html", **values, principal_id=principal_id))


def summarise(found: FullReceipt) -> ReceiptSummary:
    """Return a whole receipt as a list shows it."""
    receipt = found.receipt
    local = receipt.purchased_at.astimezone(ZoneInfo(found.store.time_zone))
    return ReceiptSummary(
        receipt_id=receipt.receipt_id,
        store_name=found.store.name,
        receipt_type=receipt.receipt_type,
        purchased_at=receipt.purchased_at,
        purchased_local=local.replace(tzinfo=None),
        customer_id=receipt.customer_id,
        total_cents=receipt.total_cents,
        currency=receipt.currency,
        item_count=len(receipt.lines),
        items=tuple(line.description for line in receipt.lines[:_ITEMS_SHOWN]),
    )
