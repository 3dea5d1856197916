"""How values read on the page: amounts, days, times, names, and what a search was understood as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from gradio_ui.answers import Hit, ReceiptSummary
from receipts.money import EXPONENTS, format_cents

_ITEMS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Item:
    """A description in a result with how often it stands there, and whether it is what was asked for."""

    description: str
    times: int
    marked: bool


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
    """Return the short name of a month written 2026-11, or as its first day."""
    return f"{date.fromisoformat(f'{month[:7]}-01'):%b}"


def initials(name: str) -> str:
    """Return up to two letters that stand for a name."""
    words = [word for word in re.sub(r"\(.*?\)", "", name).split() if word[:1].isalpha()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def _day_in_words(iso: str, year: int | None) -> str:
    try:
        return day(date.fromisoformat(iso), year)
    except ValueError:  # 2026-02-30: not ours to correct
        return iso
