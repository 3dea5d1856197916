"""A receipt, a customer and search hits as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from receipts.identity import display
from receipts.money import format_cents

_WIDTH = 56  # of the paper


def receipt_paper(answer: Mapping[str, Any]) -> Panel:
    """Return a receipt as the till printed it."""
    receipt, store = answer["receipt"], answer["store"]
    currency = receipt["currency"]
    instant = datetime.fromisoformat(receipt["purchased_at"]).astimezone(ZoneInfo(store["time_zone"]))
    head = Text(justify="center")
    head.append(f"{store['name']}\n", style="bold")
    head.append(f"{store['street']}, {store['city']}, {store['state']} {store['postal_code']}\n")
    head.append(f"{instant:%a %d %b %Y  %H:%M}   register {receipt['register_id']}\n")
    if receipt["receipt_type"] != "sale":
        head.append(f"*** {receipt['receipt_type'].upper()} ***\n", style="bold red")
    foot = Text(justify="center")
    if receipt.get("customer_id"):
        foot.append(f"\nloyalty customer {receipt['customer_id']}")
    if receipt.get("original_receipt_id"):
        foot.append(f"\noriginal receipt {display(receipt['original_receipt_id'])}")
    foot.append(f"\n{display(receipt['receipt_id'])}", style="bold")
    return Panel(Group(head, _lines(receipt, currency), _sums(receipt, currency), foot), width=_WIDTH, box=box.SQUARE)


def customer_card(answer: Mapping[str, Any]) -> Panel:
    """Return a customer's particulars and profile."""
    customer, profile = answer["customer"], answer["profile"]
    facts = Table.grid("fact", "value", padding=(0, 2))
    for name in ("email_masked", "phone_masked", "city", "customer_since"):
        facts.add_row(name.removesuffix("_masked").replace("_", " "), str(customer[name]))
    if profile is None:
        facts.add_row("profile", "none yet: it comes with the next refinement")
    else:
        facts.add_row("lifetime spend", format_cents(profile["lifetime_spend_cents"]))
        facts.add_row("visits", f"{profile['visits']} ({profile['returns']} returns)")
        facts.add_row("average basket", format_cents(profile["average_basket_cents"]))
        facts.add_row("last visit", str(profile["last_visit_on"]))
        tops = (f"{top['category']} {format_cents(top['spend_cents'])}" for top in profile["top_categories"])
        facts.add_row("top categories", "\n".join(tops))
        facts.add_row("pattern", str(profile["recent_pattern"]))
    title = f"{customer['first_name']} {customer['last_name']}  {customer['customer_id']}"
    return Panel(facts, title=title, width=72, box=box.ROUNDED)


def search_hits(answer: Mapping[str, Any]) -> RenderableType:
    """Return what was understood, each hit with why it was found, and what was relaxed."""
    understood = (
        ", ".join(f"{part['kind']} = {part['value']}" for part in answer["understood"]) or "nothing in particular"
    )
    hits = Table("score", Column("receipt", no_wrap=True), "store, when", "total", "why", box=box.SIMPLE)
    for hit in answer["hits"]:
        receipt = hit["receipt"]
        why: Sequence[str] = [match["reason"] for match in hit["matched_on"]]
        when = f"{receipt['store_name']}\n{receipt['purchased_local'].replace('T', ' ')}"
        total = format_cents(receipt["total_cents"], receipt["currency"])
        hits.add_row(f"{hit['score']:.2f}", display(receipt["receipt_id"]), when, total, "\n".join(why))
    notes = [Text(f"understood: {understood}")]
    notes += [Text(f"relaxed: {relaxation}", style="yellow") for relaxation in answer["relaxations"]]
    end = Text(f"{len(answer['hits'])} hits in {answer['took_ms']:.0f} ms", style="dim")
    return Group(*notes, hits if answer["hits"] else Text("nothing found"), end)


def _lines(receipt: Mapping[str, Any], currency: str) -> Table:
    table = _grid()
    for line in receipt["lines"]:
        quantity = line["quantity"]
        times = (
            ""
            if quantity == 1
            else f"  {quantity:g} {line['unit']} x {format_cents(line['unit_price_cents'], currency)}"
        )
        table.add_row(Text(line["description"] + times), format_cents(line["amount_cents"], currency))
        if line["discount_cents"]:
            table.add_row(Text("  you saved", style="dim"), Text(format_cents(line["discount_cents"], currency), "dim"))
    return table


def _sums(receipt: Mapping[str, Any], currency: str) -> Table:
    table = _grid()
    table.add_row("", "")
    for name in ("subtotal", "tax", "total"):
        style = "bold" if name == "total" else ""
        table.add_row(Text(name.upper(), style), Text(format_cents(receipt[f"{name}_cents"], currency), style))
    for tender in receipt["tenders"]:
        card = f" {tender.get('card_brand') or 'card'} ****{tender['card_last4']}" if tender.get("card_last4") else ""
        table.add_row(Text(f"{tender['tender_type']}{card}"), format_cents(tender["amount_cents"], currency))
    return table


def _grid() -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1)
    table.add_column(justify="right")
    return table
