"""The tenders of a POSLog transaction as those of a receipt: change is a negative tender of cash."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from ingest.adapters.poslog_nodes import cents_at, standing, text_at
from receipts.errors import InvalidInput

_TYPES: Mapping[str, str] = {
    "cash": "cash",
    "credit": "credit",
    "creditcard": "credit",
    "creditdebit": "credit",
    "debit": "debit",
    "debitcard": "debit",
    "ebt": "ebt",
    "foodstamps": "ebt",
    "wic": "ebt",
    "giftcard": "gift_card",
    "giftcertificate": "gift_card",
    "storedvalue": "gift_card",
    "storedvaluefund": "gift_card",
    "check": "check",
    "cheque": "check",
    "travelerscheck": "check",
    "mobile": "mobile",
    "mobilepayment": "mobile",
    "wallet": "mobile",
    "coupon": "coupon",
    "manufacturercoupon": "coupon",
}
_KINDS = ("Cash", "CreditDebit", "GiftCard", "Check", "Coupon", "StoredValueFund", "MobilePayment", "EBT")
_FULL_NUMBER_DIGITS = (
    12  # so many digits shown are no masked number any more (PCI DSS 3.3: at most the first 6 and last 4)
)
_LAST4 = re.compile(r"[0-9]{4}$")

Tender = dict[str, Any]


def receipt_tenders(retail: Element, currency: str, total: int) -> list[Tender]:
    """Return the tenders, made to the total where the till writes them otherwise. Raises InvalidInput.

    Refunds count negative, with a sign or without. Change, and cash paid out from a card, is left out where the amounts
    are those after it, as the total shows.
    """
    tenders: list[Tender] = []
    change = 0
    for line in standing(retail, "LineItem"):
        for node in standing(line, "Tender"):
            amount = cents_at(node, currency, "Amount", "TenderAmount")
            if amount is None:
                raise InvalidInput(f"tenders.{len(tenders)}", "Amount is missing")
            refund = node.get("TypeCode", "").lower() == "refund"
            tenders.append(_tender(node, len(tenders), -abs(amount) if refund else amount))
            given = cents_at(node, currency, "TenderChange/Amount", "TenderChange", "Cashback/Amount", "Cashback")
            change += abs(given or 0)
    if total < 0 and all(tender["amount_cents"] >= 0 for tender in tenders):
        tenders = [{**tender, "amount_cents": -tender["amount_cents"]} for tender in tenders]
    if change and sum(tender["amount_cents"] for tender in tenders) != total:
        tenders.append({"tender_type": "cash", "amount_cents": -change})
    return tenders


def holds_card_data(tag: str) -> bool:
    """Say whether an element is where a till writes card data: it is destroyed before its transaction is kept."""
    return tag in {"PrimaryAccountNumber", "AccountNumber", "CardNumber"} or tag.startswith(
        ("Track", "PIN", "Security")
    )


def _tender(node: Element, number: int, amount: int) -> Tender:
    tender: Tender = {"tender_type": _type(node), "amount_cents": amount}
    brand = text_at(node, "CreditDebit/CreditCardCompanyCode", "CreditDebit/CardBrand", "CreditDebit/IssuerName")
    if brand:
        tender["card_brand"] = brand
    shown = text_at(node, ".//PrimaryAccountNumber", ".//CardNumber", "CreditDebit/AccountNumber")
    if sum(map(str.isdigit, shown)) >= _FULL_NUMBER_DIGITS:
        raise InvalidInput(f"tenders.{number}", "holds a full card number, which is never accepted")
    if (last4 := _LAST4.search(shown)) and (len(shown) == len(last4[0]) or not shown.isdigit()):
        tender["card_last4"] = last4[0]
    return tender


def _type(node: Element) -> str:
    card = node.find("CreditDebit")
    kind = "" if card is None else _TYPES.get(_word(card.get("CardType", "")), "")
    name = node.get("TenderType") or next((part.tag for part in node if part.tag in _KINDS), "")
    given = _TYPES.get(_word(name), "other")
    return kind if kind and given in ("credit", "other") else given


def _word(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())
