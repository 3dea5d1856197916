"""The line items of a POSLog transaction as lines of a receipt.

A sale keeps its signs. What is returned counts negative whether the till writes its amounts with a sign or without:
the element Return says it already. A discount or rounding of the whole transaction is a line item in the standard and
stays one. Lines that were taken back (VoidFlag, CancelFlag) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from ingest.adapters.poslog_nodes import cents_at, decimal_at, flag, standing, text_at, voided
from ingest.adapters.values import read_decimal, rounded_cents
from receipts.errors import InvalidInput
from receipts.models import MAX_LINES

_SOLD = ("Sale", "SaleForDelivery", "SaleForPickup")
_RETURNED = ("Return", "ReturnForDelivery", "ReturnForPickup")
_LEVELS: Mapping[str, str] = {
    "department": "department",
    "posdepartment": "department",
    "category": "category",
    "subcategory": "category",
    "class": "category",
}

Line = dict[str, Any]


def receipt_lines(retail: Element, currency: str, *, cancelled: bool) -> list[Line]:
    """Return the lines in order, before their totals are checked. Raises InvalidInput naming line and element.

    A cancelled transaction whose lines were all taken back shows those that were.
    """
    items = [node for node in retail.iterfind("LineItem") if _kind(node) is not None]
    left = [node for node in items if not voided(node)]
    chosen = items if cancelled and not left else left
    numbers = _numbers(chosen)
    return [_line(node, number, currency) for node, number in zip(chosen, numbers, strict=True)]


def returned_items(retail: Element) -> Iterator[Element]:
    """Yield what stands in the lines that give something back."""
    for node in standing(retail, "LineItem"):
        item = _kind(node)
        if item is not None and item.tag in _RETURNED:
            yield item


def _kind(node: Element) -> Element | None:
    """Return the part of a line item that makes it a line of the receipt."""
    return next((part for part in node if part.tag in (*_SOLD, *_RETURNED, "Discount", "Rounding")), None)


def _numbers(items: list[Element]) -> list[int]:
    """Return the till's own numbers when they can be line numbers, else 1, 2, 3..."""
    texts = [text_at(node, "SequenceNumber") for node in items]
    own = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LINES))]
    usable = len(set(own)) == len(items) and all(1 <= number <= MAX_LINES for number in own)
    return own if usable else list(range(1, len(items) + 1))


def _line(node: Element, number: int, currency: str) -> Line:
    item = _kind(node)
    if item is None:
        raise InvalidInput(f"LineItem {number}", "holds nothing that can be sold")
    try:
        if item.tag in ("Discount", "Rounding"):
            return _adjustment(item, number, currency)
        return _article(item, number, currency, -1 if item.tag in _RETURNED else 1)
    except InvalidInput as error:
        raise InvalidInput(f"LineItem {number} {error.field}", error.problem) from None


def _adjustment(item: Element, number: int, currency: str) -> Line:
    """Return a discount of the whole transaction, or what it was rounded by, as a line of its own."""
    amount = cents_at(item, currency, "Amount")
    if amount is None and item.tag == "Rounding":
        amount = cents_at(item, currency, ".")
    if amount is None:
        raise InvalidInput("Amount", "is missing")
    discounts = item.tag == "Discount"
    if discounts or item.get("RoundingDirection", "").lower() == "down":
        amount = -abs(amount)
    return {
        "line_number": number,
        "sku": item.tag.upper(),
        "description": text_at(item, "Description", "ReasonCode", "PromotionID") or item.tag,
        "quantity": 1.0,
        "unit_price_cents": 0 if discounts else amount,
        "discount_cents": -amount if discounts else 0,
        "amount_cents": amount,
    }


def _article(item: Element, number: int, currency: str, sign: int) -> Line:
    quantity = decimal_at(item, "Quantity")
    quantity = Decimal(1) if quantity is None else quantity
    quantity = -abs(quantity) if sign < 0 else quantity
    price = _unit_price(item)
    discount = _discount(item, currency, sign, quantity)
    amount = _amount(
        item, currency, sign, None if price is None else rounded_cents(price * quantity, currency), discount
    )
    if amount * quantity < 0:
        raise InvalidInput("Quantity", "is negative but the amount is not" if quantity < 0 else "and amount disagree")
    tax = _tax(item, currency, sign)
    if flag(item, "TaxIncludedInPriceFlag") or flag(item, "TaxIncludedInPricesFlag"):
        amount -= tax
    sku = text_at(item, "ItemID", "POSIdentity/POSItemID", "POSItemID")
    if not sku:
        raise InvalidInput("ItemID", "is missing")
    cents = _implied_price(amount + discount, quantity) if price is None else rounded_cents(price, currency)
    unit = item.find("Quantity")
    code = "" if unit is None else unit.get("UnitOfMeasureCode", "")
    return {
        "line_number": number,
        "sku": sku,
        "description": text_at(item, "Description", "ReceiptDescription") or sku,
        **_hierarchy(item),
        "quantity": float(quantity),
        **({"unit": code.lower()} if code else {}),
        "unit_price_cents": cents,
        "discount_cents": discount,
        "tax_cents": tax,
        "amount_cents": amount,
    }


def _unit_price(item: Element) -> Decimal | None:
    """Return the regular price of one; a package price says for how many it is."""
    for name in ("RegularSalesUnitPrice", "ActualSalesUnitPrice"):
        node = item.find(name)
        if node is not None and node.text:
            many = read_decimal(f"{name} Quantity", node.get("Quantity", "1"))
            return abs(read_decimal(name, node.text)) / (many if many > 0 else 1)
    return None


def _implied_price(gross: int, quantity: Decimal) -> int:
    """Return the price of one in minor units where the till did not write it."""
    return abs(gross) if quantity == 0 else int((gross / quantity).to_integral_value())


def _discount(item: Element, currency: str, sign: int, quantity: Decimal) -> int:
    """Return what the price modifiers take off the line: its own sum, or that of the modifiers."""
    total = cents_at(item, currency, "ExtendedDiscountAmount")
    if total is not None:
        return sign * abs(total)
    modified = 0
    for node in standing(item, "RetailPriceModifier"):
        amount = cents_at(node, currency, "Amount")
        before, after = decimal_at(node, "PreviousPrice"), decimal_at(node, "NewPrice")
        action = node.find("Amount")
        if amount is not None and (action is None or action.get("Action", "Subtract") != "Replace"):
            adds = action is not None and action.get("Action") == "Add"
            modified += -abs(amount) if adds else abs(amount)
        elif before is not None and after is not None:
            modified += rounded_cents((before - after) * abs(quantity), currency)
    return sign * modified


def _amount(item: Element, currency: str, sign: int, gross: int | None, discount: int) -> int:
    """Return what the line cost after its discount.

    ExtendedAmount has the discount taken off already; some tills write it without, and then it equals the regular
    price times the quantity although there is a discount.
    """
    extended = cents_at(item, currency, "ExtendedAmount")
    if extended is None:
        if gross is None:
            raise InvalidInput("ExtendedAmount", "is missing, and so is RegularSalesUnitPrice")
        return gross - discount
    amount = -abs(extended) if sign < 0 else extended
    return amount - discount if discount and amount == gross else amount


def _tax(item: Element, currency: str, sign: int) -> int:
    amounts = (cents_at(node, currency, "Amount") or 0 for node in standing(item, "Tax"))
    return sum(-abs(amount) if sign < 0 else amount for amount in amounts)


def _hierarchy(item: Element) -> dict[str, str]:
    """Return department and category where the merchandise hierarchy names its levels."""
    found: dict[str, str] = {}
    for node in item.iterfind("MerchandiseHierarchy"):
        name = _LEVELS.get((node.get("Level") or node.get("ID") or "").lower())
        if name and node.text:
            found.setdefault(name, node.text)
    return found
