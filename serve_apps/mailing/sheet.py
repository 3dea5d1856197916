"""What stands on a mailed receipt, once for all forms of it; a gift receipt's prices never get this far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from receipts.identity import display
from receipts.models import Receipt, ReceiptType, Store
from receipts.money import format_cents
from receipts.paper import PaperLine, clock, group_lines, tender_name


@dataclass(frozen=True, slots=True)
class Row:
    """A line of paper with what stands at its left and at its right."""

    left: str
    right: str = ""
    kind: Literal["line", "note", "sum"] = "line"  # as it stands, smaller below the line it belongs to, or the total


@dataclass(frozen=True, slots=True)
class Sheet:
    """A receipt from top to bottom. No text in it breaks a line or holds a control character."""

    stamps: tuple[str, ...]
    store: str
    address: tuple[str, ...]
    facts: tuple[Row, ...]
    items: tuple[Row, ...]
    sums: tuple[Row, ...]
    foot: tuple[Row, ...]
    receipt_id: str

    @property
    def number(self) -> str:
        """Return the receipt's id as people read it."""
        return display(self.receipt_id)


def lay_out(receipt: Receipt, store: Store, *, gift: bool) -> Sheet:
    """Return a receipt as it is mailed; a gift receipt tells no price, sum, discount or payment."""
    stamps = [] if receipt.receipt_type is ReceiptType.SALE else [receipt.receipt_type.upper()]
    place = f"{store.city}{', ' if store.state else ''}{store.state} {store.postal_code}"
    count = len(receipt.lines)
    saved = f"You saved {format_cents(receipt.discount_cents, receipt.currency)}"
    return Sheet(
        stamps=tuple([*stamps, "GIFT RECEIPT"] if gift else stamps),
        store=one_line(store.name),
        address=tuple(filter(None, map(one_line, (store.street, place, store.phone)))),
        facts=tuple(_facts(receipt, store, gift=gift)),
        items=tuple(row for line in group_lines(receipt.lines) for row in _item(line, receipt.currency, gift=gift)),
        sums=() if gift else tuple(_sums(receipt)),
        foot=(
            Row(f"{count} item{'' if count == 1 else 's'}", saved if receipt.discount_cents > 0 and not gift else ""),
        ),
        receipt_id=receipt.receipt_id,
    )


def one_line(text: str) -> str:
    """Return a text without what cannot be seen, and with single blanks for whatever else parts words or lines."""
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())


def _facts(receipt: Receipt, store: Store, *, gift: bool) -> Iterator[Row]:
    local = receipt.purchased_at.astimezone(ZoneInfo(store.time_zone))
    yield Row(f"{local:%a %m/%d/%Y}", clock(local))
    operator = "" if gift or not receipt.operator_id else f"  Op {one_line(receipt.operator_id)}"
    yield Row(f"Register {receipt.register_id}{operator}", f"No {receipt.sequence_number:06d}")
    if receipt.original_receipt_id:
        yield Row("Original", display(receipt.original_receipt_id))


def _item(group: PaperLine, currency: str, *, gift: bool) -> Iterator[Row]:
    line = group.line
    times = f"{group.times} × " if group.times > 1 else ""
    yield Row(f"{times}{one_line(line.description)}", "" if gift else format_cents(group.gross_cents, currency))
    if abs(line.quantity) != 1:
        amount = f"{line.quantity:g} {one_line(line.unit)}".strip()
        yield Row(amount if gift else f"{amount} @ {format_cents(line.unit_price_cents, currency)}", kind="note")
    if group.discount_cents and not gift:
        yield Row("Savings", format_cents(-group.discount_cents, currency), "note")


def _sums(receipt: Receipt) -> Iterator[Row]:
    yield Row("Subtotal", format_cents(receipt.subtotal_cents, receipt.currency))
    yield Row("Tax", format_cents(receipt.tax_cents, receipt.currency))
    yield Row("TOTAL", format_cents(receipt.total_cents, receipt.currency), "sum")
    for tender in receipt.tenders:
        card = f" •••• {tender.card_last4}" if tender.card_last4 else ""
        yield Row(f"{one_line(tender_name(tender))}{card}", format_cents(tender.amount_cents, receipt.currency))
