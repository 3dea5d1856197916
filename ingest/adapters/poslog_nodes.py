"""What is read off one element of a POSLog transaction."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from xml.etree.ElementTree import Element

from ingest.adapters.values import exact_cents, read_day, read_decimal, read_whole
from receipts.errors import InvalidInput
from receipts.identity import NaturalKey, receipt_id

_TRUE = ("true", "1")


def text_at(node: Element, *paths: str) -> str:
    """Return the text of the first path that leads to some, or an empty text."""
    return next((text for path in paths if (text := node.findtext(path))), "")


def flag(node: Element, name: str) -> bool:
    """Say whether an xs:boolean attribute is set."""
    return node.get(name, "").strip().lower() in _TRUE


def voided(node: Element) -> bool:
    """Say whether a line, tender, tax or modifier was taken back before the transaction ended."""
    return flag(node, "VoidFlag") or flag(node, "CancelFlag")


def standing(node: Element, name: str) -> Iterator[Element]:
    """Yield the children of a name that were not taken back."""
    return (child for child in node.iterfind(name) if not voided(child))


def cents_at(node: Element, currency: str, *paths: str) -> int | None:
    """Return the amount at the first path that has one; None without. Raises InvalidInput."""
    text = text_at(node, *paths)
    return exact_cents(paths[0], read_decimal(paths[0], text), currency) if text else None


def decimal_at(node: Element, *paths: str) -> Decimal | None:
    """Return the number at the first path that has one; None without. Raises InvalidInput."""
    text = text_at(node, *paths)
    return read_decimal(paths[0], text) if text else None


def store_at(node: Element) -> str:
    """Return the store as it is written: RetailStoreID, or from version 6 on the unit of the business."""
    return text_at(node, "RetailStoreID", "BusinessUnit/UnitID")


def linked_receipt(node: Element, store_id: int) -> str | None:
    """Return the id of the receipt a TransactionLink leads to; None when it does not say which. Raises InvalidInput.

    A link without a store stays in `store_id`.
    """
    link = node.find("TransactionLink")
    if link is None:
        return None
    texts = (text_at(link, "WorkstationID"), text_at(link, "SequenceNumber"), text_at(link, "BusinessDayDate"))
    if not all(texts):
        return None
    workstation, sequence, day = texts
    try:
        key = NaturalKey(
            read_whole("RetailStoreID", store_at(link)) if store_at(link) else store_id,
            read_whole("WorkstationID", workstation),
            read_day("BusinessDayDate", day),
            read_whole("SequenceNumber", sequence),
        )
        return receipt_id(key)
    except InvalidInput as error:
        raise InvalidInput(f"TransactionLink {error.field}", error.problem) from None
