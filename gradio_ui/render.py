"""The only way into the page: autoescaped templates over what the API answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradio_ui import barcode
from gradio_ui.answers import CustomerContext, FullReceipt, History, Hit, ReceiptSummary, SearchAnswer
from receipts.identity import display
from receipts.models import Line, Tender
from receipts.money import EXPONENTS, format_cents

EXAMPLES = (
    "chicken from East Liberty last Tuesday",
    "fancy cheese",
    "$42 at Shadyside yesterday",
    "card ending 4242 last week",
)
_ITEMS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class PaperLine:
    """Equal lines of a receipt put together: what was bought how often, and what it cost before its discount."""

    line: Line
    times: int
    gross_cents: int
    discount_cents: int
    marked: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A description in a result with how often it stands there, and whether it is what was asked for."""

    description: str
    times: int
    marked: bool


def landing(name: str) -> Markup:
    """Return the list before any search: what can be asked, and the keys."""
    return _render("landing.html", name=name.split(" ", maxsplit=1)[0], examples=EXAMPLES)


def results(answer: SearchAnswer, query: str, now: datetime) -> Markup:
    """Return the list of hits, or what to drop when there is none."""
    if not answer.hits:
        return _render("no_match.html", understood=answer.understood, relaxations=answer.relaxations, query=query)
    return _render("results.html", answer=answer, now=now, opened=None)


def single(found: FullReceipt, now: datetime) -> Markup:
    """Return a list of the one receipt whose number was given; the page opens it by itself."""
    hit = Hit(receipt=summarise(found), matched_on=(), highlights=())
    return _render("results.html", answer=SearchAnswer(hits=(hit,)), now=now, opened=found.receipt.receipt_id)


def understood(answer: SearchAnswer, now: datetime) -> Markup:
    """Return the chips that say how the query was read."""
    return _render("understood.html", understood=answer.understood, now=now)


def paper(found: FullReceipt, marked: frozenset[int]) -> Markup:
    """Return the receipt as the till printed it; `marked` holds the line numbers that matched."""
    receipt = found.receipt
    local = receipt.purchased_at.astimezone(ZoneInfo(found.store.time_zone))
    return _render(
        "paper.html",
        receipt=receipt,
        store=found.store,
        local=local,
        lines=group_lines(receipt.lines, marked),
        barcode=barcode.svg(receipt.receipt_id),
    )


def customer(context: CustomerContext, history: History, opened: str, now: datetime) -> Markup:
    """Return the panel of a customer: who, what they spend, and their other receipts."""
    person, profile = context.customer, context.profile
    return _render("customer.html", customer=person, profile=profile, history=history, opened=opened, now=now)


def message(title: str, detail: str, *, request_id: str = "", kind: str = "note") -> Markup:
    """Return a state of the page in words; `kind` is note, error or ended (the session)."""
    return _render("message.html", title=title, detail=detail, request_id=request_id, kind=kind)


def placeholder(text: str) -> Markup:
    """Return the outline of a part that waits to be filled."""
    return _render("placeholder.html", text=text)


def top(name: str, role: str, principal_id: str) -> Markup:
    """Return the bar with the search box and who is signed in."""
    return _render("top.html", name=name, role=role.replace("_", " "), principal_id=principal_id)


def page(
    title: str, detail: str, *, action: str = "", target: str = "", post: bool = False, principal_id: str = ""
) -> str:
    """Return a whole small page outside Gradio; with `principal_id` it tells other tabs who is signed in."""
    values = {"title": title, "detail": detail, "action": action, "target": target, "post": post}
    return str(_render("page.html", **values, principal_id=principal_id))


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


def group_lines(lines: Sequence[Line], marked: frozenset[int]) -> list[PaperLine]:
    """Put equal lines together in the order in which they first stand on the receipt."""
    groups: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        key = (line.sku, line.description, line.quantity, line.unit, line.amount_cents, line.discount_cents)
        groups.setdefault(key, []).append(line)
    return [
        PaperLine(
            line=group[0],
            times=len(group),
            gross_cents=sum(line.amount_cents + line.discount_cents for line in group),
            discount_cents=sum(line.discount_cents for line in group),
            marked=any(line.line_number in marked for line in group),
        )
        for group in groups.values()
    ]


def shown_items(hit: Hit) -> list[Item]:
    """Return the few items a result shows: what matched first, repeats counted."""
    wanted = dict.fromkeys(highlight.description for highlight in hit.highlights)
    names = list(wanted) + [name for name in dict.fromkeys(hit.receipt.items) if name not in wanted]
    times = {name: max(1, hit.receipt.items.count(name)) for name in names}
    return [Item(name, times[name], name in wanted) for name in names[:_ITEMS_SHOWN]]


def plain_money(cents: int, currency: str = "USD") -> str:
    """Return an amount without its symbol, as tills print it: 1,234.50."""
    return re.sub(r"[^0-9.,-]", "", format_cents(cents, currency))


def whole_money(cents: int, currency: str = "USD") -> str:
    """Return an amount rounded to whole units: $3,532."""
    unit = 10 ** EXPONENTS[currency]
    return re.sub(r"\.\d+$", "", format_cents(round(cents / unit) * unit, currency))


def day(value: date, year: int | None = None) -> str:
    """Return a day as people say it: Tue Nov 17, with its year when that is not `year`."""
    return f"{value:%a %b} {value.day}" + ("" if value.year == year else f", {value.year}")


def clock(value: datetime) -> str:
    """Return a time of day: 6:05 PM."""
    return f"{value.hour % 12 or 12}:{value:%M} {'AM' if value.hour < 12 else 'PM'}"


def ago(summary: ReceiptSummary, now: datetime) -> str:
    """Return how many of the store's own days lie between a purchase and now."""
    offset = summary.purchased_local - summary.purchased_at.astimezone(UTC).replace(tzinfo=None)
    days = ((now.astimezone(UTC).replace(tzinfo=None) + offset).date() - summary.purchased_local.date()).days
    if days < 2:
        return "today" if days <= 0 else "yesterday"
    return f"{days} days ago" if days < 60 else f"{round(days / 30.4)} months ago" if days < 700 else ""


def chip_value(kind: str, value: str, year: int | None = None) -> str:
    """Return what a part of the query was understood as: days in words, amounts as money, ranges with a dash."""
    if kind == "without":
        return f"not {value}"
    if kind not in {"date", "amount"}:
        return value.replace("_", " ") if kind == "tender" else value

    def show(end: str) -> str:
        return f"${end.removesuffix('.00')}" if kind == "amount" else _day_in_words(end, year)

    low, is_range, high = value.partition("..")
    if not is_range:
        return show(value)
    if low and high:
        return f"{show(low)} – {show(high)}"
    return f"from {show(low)}" if low else f"up to {show(high)}"


def calm(text: str) -> str:
    """Return what a till shouts in capitals as people write it; anything else stays."""
    return text.capitalize() if text.isupper() else text


def dotted(masked: str) -> str:
    """Return masked contact data with dots for stars."""
    return masked.replace("*", "•")


def month_name(month: str) -> str:
    """Return the short name of a month written 2026-11."""
    return f"{date.fromisoformat(month + '-01'):%b}"


def tender_name(tender: Tender) -> str:
    """Return what a payment is called on paper: the card's brand, or how it was paid."""
    name = (tender.card_brand or tender.tender_type).replace("_", " ")
    return name.upper() if len(name) <= 3 else name.title() if name.islower() else name


def initials(name: str) -> str:
    """Return up to two letters that stand for a name."""
    words = [word for word in re.sub(r"\(.*?\)", "", name).split() if word[:1].isalpha()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def _day_in_words(iso: str, year: int | None) -> str:
    try:
        return day(date.fromisoformat(iso), year)
    except ValueError:  # 2026-02-30: not ours to correct
        return iso


@lru_cache(maxsize=1)  # the templates are compiled once per process
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("gradio_ui", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (plain_money, whole_money, day, clock, ago, month_name, calm, dotted, tender_name, initials, shown_items)
    # Jinja infers the type of these two from its own built-ins.
    table, names = cast("dict[str, object]", environment.filters), cast("dict[str, object]", environment.globals)
    table.update({function.__name__: function for function in filters})
    table.update(money=format_cents, grouped=display)
    names["chip_value"] = chip_value
    return environment


def _render(template: str, **values: object) -> Markup:
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704 - autoescaped by the environment
