"""ARTS POSLog read as receipts.

The standard: ARTS XML POSLog 6.0 (National Retail Federation, 2014; kept by the Object Management Group as
retail/2017-07-13). Versions 2 to 6 differ in nothing that is read here but BusinessUnit for RetailStoreID. What stands
in other namespaces is passed over. Where tills are known to write one thing in several ways, the rule stands beside the
function. Nothing is guessed from amounts that do not add up: such a transaction is refused by the normal validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

from ingest.adapters.found import Found, ZoneOf
from ingest.adapters.poslog_lines import Line, receipt_lines, returned_items
from ingest.adapters.poslog_nodes import cents_at, flag, linked_receipt, standing, store_at, text_at
from ingest.adapters.poslog_stream import read_transactions
from ingest.adapters.poslog_tenders import holds_card_data, receipt_tenders
from ingest.adapters.values import exponent, instant, read_day, read_time, read_whole
from receipts.card_numbers import DESTROYED
from receipts.errors import InvalidInput
from receipts.identity import display

_UNFINISHED = {"suspended", "suspendeddeleted", "inprocess", "failed", "replaced"}  # TransactionStatus
_VOIDED = {"void", "voided", "postvoid", "postvoided", "voidtransaction"}  # TransactionStatus, ReasonCode of a link


def read_poslog(path: Path, zone_of: ZoneOf, currency: str) -> Iterator[Found]:
    """Yield what each Transaction of a file becomes. `currency` is that of a till that does not write its own.

    Raises BrokenFile where the file cannot be read any further.
    """
    for placed in read_transactions(path):
        skipped = _why_skipped(placed.node)
        payload, problem = "", ""
        if not skipped:
            try:
                payload = json.dumps(_receipt(placed.node, zone_of, currency))
            except InvalidInput as error:
                payload, problem = _without_card_data(placed.node), f"{error}."
        yield Found(placed.line, placed.done_bytes, payload, problem, skipped)


def _why_skipped(node: Element) -> str:
    """Return why a transaction is not meant to become a receipt."""
    if flag(node, "TrainingModeFlag"):
        return "A cashier was in training."
    retail = node.find("RetailTransaction")
    if retail is None:
        if node.find("PostVoidTransaction") is not None:
            return ""
        kind = next((child.tag for child in node if child.tag.endswith("Transaction")), "Transaction")
        return f"{kind[:60]} is no sale, return or void."
    if flag(node, "SuspendFlag") or flag(retail, "SuspendFlag") or _status(retail) in _UNFINISHED:
        return "The transaction was suspended or never finished."
    return ""


def _receipt(node: Element, zone_of: ZoneOf, currency: str) -> dict[str, Any]:
    """Return the receipt of a transaction as JSON fields. Raises InvalidInput."""
    retail = node.find("RetailTransaction")
    void = _is_void(node, retail)
    retail = Element("RetailTransaction") if retail is None else retail
    store_id = read_whole("RetailStoreID", store_at(node))
    trade = text_at(node, "CurrencyCode") or _currency_of_amounts(node) or currency
    exponent(trade)  # a currency that is not taken is named before any of its amounts
    original = _original(node, retail, store_id)
    lines = receipt_lines(retail, trade, cancelled=void) or ([_void_line(original)] if void else [])
    sums = _sums(retail, trade, lines)
    receipt_type = "void" if void else _type(retail, lines)
    fields: dict[str, Any] = {
        "receipt_type": receipt_type,
        "store_id": store_id,
        "register_id": read_whole("WorkstationID", text_at(node, "WorkstationID")),
        "business_date": str(read_day("BusinessDayDate", text_at(node, "BusinessDayDate"))),
        "sequence_number": read_whole("SequenceNumber", text_at(node, "SequenceNumber")),
        "purchased_at": _purchased_at(node, retail, zone_of, store_id),
        "operator_id": text_at(node, "OperatorID") or None,
        "customer_id": _customer(retail) or None,
        "currency": trade,
        "lines": lines,
        **sums,
        "tenders": receipt_tenders(retail, trade, sums["total_cents"]),
        "original_receipt_id": original,
    }
    return fields


def _is_void(node: Element, retail: Element | None) -> bool:
    """Say whether a transaction was cancelled before it was completed, or takes back another one as a whole."""
    if retail is None or flag(node, "CancelFlag") or flag(node, "VoidFlag") or flag(retail, "CancelFlag"):
        return True
    links = [*node.iterfind("TransactionLink"), *retail.iterfind("TransactionLink")]
    reasons = {link.get("ReasonCode", "").lower() or text_at(link, "ReasonCode").lower() for link in links}
    return _status(retail) in _VOIDED or not _VOIDED.isdisjoint(reasons)


def _status(retail: Element) -> str:
    return (retail.get("TransactionStatus") or text_at(retail, "TransactionStatus")).lower()


def _type(retail: Element, lines: list[Line]) -> str:
    """Return `return` when money goes back to the customer for goods, or nothing but goods did."""
    subtotal = sum(line["amount_cents"] for line in lines)
    gives_back = next(returned_items(retail), None) is not None
    sells = any(line["amount_cents"] > 0 for line in lines)
    return "return" if subtotal < 0 or (gives_back and not sells) else "sale"


def _sums(retail: Element, currency: str, lines: list[Line]) -> dict[str, int]:
    """Return subtotal, discount, tax and total as the till wrote them, where it did.

    The validation compares them with the lines. Tax comes from the total, else the tax lines, else from the lines.
    Some tills write the totals of a return without a sign.
    """
    subtotal = sum(line["amount_cents"] for line in lines)
    totals = {node.get("TotalType") or node.get("TypeCode") or "": node for node in retail.iterfind("Total")}
    written = {name: cents_at(node, currency, ".") for name, node in totals.items() if node.text}
    tax_nodes = [tax for line in standing(retail, "LineItem") for tax in standing(line, "Tax")]
    tax = written.get("TransactionTaxAmount")
    if tax is None and tax_nodes:
        tax = sum(cents_at(node, currency, "Amount") or 0 for node in tax_nodes)
    net, grand = written.get("TransactionNetAmount"), written.get("TransactionGrandAmount")
    given = [value for value in (tax, net, grand) if value is not None]
    sign = -1 if subtotal < 0 and all(value >= 0 for value in given) else 1
    tax = sum(line.get("tax_cents", 0) for line in lines) if tax is None else sign * tax
    return {
        "subtotal_cents": subtotal if net is None else sign * net,
        "discount_cents": sum(line["discount_cents"] for line in lines),
        "tax_cents": tax,
        "total_cents": subtotal + tax if grand is None else sign * grand,
    }


def _purchased_at(node: Element, retail: Element, zone_of: ZoneOf, store_id: int) -> str:
    """Return when the transaction ended, else when its receipt was printed, else when it began."""
    written = text_at(node, "EndDateTime", "POSLogDateTime") or text_at(retail, "ReceiptDateTime")
    time = read_time("EndDateTime", written or text_at(node, "BeginDateTime"))
    return instant("EndDateTime", time, zone_of(store_id))


def _original(node: Element, retail: Element, store_id: int) -> str | None:
    """Return the receipt that is returned or voided: of the whole transaction, else of the first line that says so."""
    holders = (node, retail, *retail.iterfind("PostVoidTransaction"), *returned_items(retail))
    void = node.find("PostVoidTransaction")
    links = (linked_receipt(holder, store_id) for holder in ((*holders, void) if void is not None else holders))
    return next((link for link in links if link), None)


def _customer(retail: Element) -> str:
    return text_at(
        retail,
        "Customer/CustomerID",
        "LoyaltyAccount/CustomerID",
        "LoyaltyAccount/LoyaltyAccountID",
        "LoyaltyAccount/LoyaltyProgram/LoyaltyAccountID",
        "Customer/LoyaltyAccountID",
        "LineItem/LoyaltyMembership/LoyaltyAccountID",
    )


def _currency_of_amounts(node: Element) -> str:
    return next((currency for part in node.iter() if (currency := part.get("Currency"))), "")


def _void_line(original: str | None) -> Line:
    """Return the line of a void that repeats none of what it takes back."""
    of = f" of {display(original)}" if original else ""
    return {
        "line_number": 1,
        "sku": "VOID",
        "description": f"Void{of}",
        "quantity": 0.0,
        "unit_price_cents": 0,
        "discount_cents": 0,
        "amount_cents": 0,
    }


def _without_card_data(node: Element) -> str:
    """Return a refused transaction as it was written, card data destroyed, for the people who will look into it."""
    for part in node.iter():
        if holds_card_data(part.tag) and part.text:
            part.text = DESTROYED
    return tostring(node, encoding="unicode")
