"""Why a receipt was found, in sentences a representative can check against the receipt."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from receipts.identity import natural_key
from receipts.money import format_cents
from serve_apps.search_answers import Highlight, Match
from serve_apps.search_wanted import Roll, Wanted
from serve_apps.summaries import ReceiptSummary
from serve_apps.understanding.query import Kind

_ALIKE = 0.999  # below it a name was not letter for letter
_MOST_HIGHLIGHTS = 8


class Closeness(NamedTuple):
    """How near a receipt is in each field, 0..1, None where not asked; products as parallel lists, best first."""

    store: float | None
    date: float | None
    amount: float | None
    customer: float | None
    tender: float | None
    skus: list[str] | None
    terms: list[int] | None  # from 1, in the order of the wanted terms
    similarities: list[float] | None
    literals: list[bool] | None


def reasons(wanted: Wanted, near: Closeness, receipt: ReceiptSummary, lines: list[dict[str, Any]]) -> list[Match]:
    """Return one reason for each field that was asked for and each phrase that a line answers."""
    found: list[Match] = []
    if wanted.receipt_id is not None:
        found.append(Match(field=Kind.RECEIPT, kind="exact", reason="has this receipt id"))
    if near.store is not None:
        found.append(_match(Kind.STORE, exact=near.store >= _ALIKE, words=f"bought at {receipt.store_name}"))
    if near.date is not None:
        exact = near.date >= _ALIKE
        beyond = "" if exact else ", near the date asked for"
        found.append(
            _match(
                Kind.DATE,
                exact=exact,
                words=f"bought on {receipt.purchased_on:%A, %B} {receipt.purchased_on.day}{beyond}",
            )
        )
    if near.amount is not None:
        exact = near.amount >= _ALIKE
        beyond = "" if exact else ", near the amount asked for"
        total = format_cents(receipt.total_cents, receipt.currency)
        found.append(_match(Kind.AMOUNT, exact=exact, words=f"total {total}{beyond}"))
    if near.customer is not None:
        exact = near.customer >= _ALIKE
        words = "belongs to the customer asked for" if exact else "belongs to a customer of a similar name"
        found.append(_match(Kind.CUSTOMER, exact=exact, words=words))
    if wanted.card_last4 is not None:
        found.append(Match(field=Kind.CARD, kind="exact", reason=f"paid with a card ending {wanted.card_last4}"))
    if near.tender:
        how = " or ".join(tender.replace("_", " ") for tender in wanted.tenders)
        found.append(Match(field=Kind.TENDER, kind="exact", reason=f"paid by {how}"))
    return [*found, *_roll_reasons(wanted.roll, receipt), *_product_reasons(wanted, near, lines)]


def highlights(near: Closeness, lines: list[dict[str, Any]]) -> list[Highlight]:
    """Return the lines that answer a phrase, in the receipt's order."""
    skus = set(near.skus or ())
    held = [line for line in lines if line["sku"] in skus][:_MOST_HIGHLIGHTS]
    return [Highlight(line_number=line["line_number"], description=line["description"]) for line in held]


def _roll_reasons(roll: Roll, receipt: ReceiptSummary) -> list[Match]:
    """Return the reasons by what the till's roll says; all of it is exact."""
    key = natural_key(receipt.receipt_id)
    clock = receipt.purchased_local[-len("HH:MM") :]
    asked = {
        Kind.REGISTER: (roll.register_id, f"rung up at register {key.register_id}"),
        Kind.OPERATOR: (roll.operator_id, f"rung up by operator {roll.operator_id}"),
        Kind.NUMBER: (roll.number_from or roll.number_to, f"number {key.sequence_number}"),
        Kind.TIME: (roll.time_from or roll.time_to, f"at {clock} by the store's clock"),
    }
    return [Match(field=kind, kind="exact", reason=words) for kind, (value, words) in asked.items() if value]


def _product_reasons(wanted: Wanted, near: Closeness, lines: list[dict[str, Any]]) -> list[Match]:
    names = {line["sku"]: line["description"] for line in reversed(lines)}
    counts = Counter[str]()
    for line in lines:
        counts[line["sku"]] += line["quantity"]
    found: list[Match] = []
    answered: set[int] = set()
    for sku, term, literal in zip(near.skus or (), near.terms or (), near.literals or (), strict=True):
        if term in answered:
            continue
        answered.add(term)
        asked, name = wanted.terms[term - 1].text, names.get(sku, sku)
        quantity = wanted.terms[term - 1].quantity
        name = f"{quantity} × {name}" if quantity and counts[sku] == quantity else name
        words = f"{name}: has the words “{asked}”" if literal else f"{name}: ≈ similar to “{asked}”"
        found.append(_match(Kind.PRODUCT, exact=literal, words=words))
    return found


def _match(field: Kind, *, exact: bool, words: str) -> Match:
    return Match(field=field, kind="exact" if exact else "approximate", reason=words)
