"""Receipts written as POSLog 6 the way a till would, and pieces of such documents for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from receipts.identity import natural_key
from receipts.models import Line, Receipt, Tender
from receipts.money import EXPONENTS

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace/" MajorVersion="6">'
)
TAIL = "</POSLog>\n"


def poslog(receipts: Iterable[Receipt], zone: ZoneInfo) -> Iterator[str]:
    """Yield the text of a POSLog that holds receipts, whose times it gives in a store's local time."""
    yield HEAD
    for receipt in receipts:
        yield transaction(receipt, zone)
    yield TAIL


def transaction(receipt: Receipt, zone: ZoneInfo) -> str:
    """Return one Transaction on a line of its own."""
    local = receipt.purchased_at.astimezone(zone)
    naive = local.replace(tzinfo=None)
    time = naive.isoformat() if local.fold == 0 else receipt.purchased_at.isoformat()
    tag = "Return" if receipt.receipt_type.value == "return" else "Sale"
    link = _link(receipt.original_receipt_id) if receipt.original_receipt_id else ""
    parts = [
        f"\n<Transaction{' CancelFlag=' + quoteattr('true') if receipt.receipt_type.value == 'void' else ''}>",
        _tag("RetailStoreID", f"{receipt.store_id:05d}"),
        _tag("WorkstationID", receipt.register_id),
        _tag("SequenceNumber", receipt.sequence_number),
        _tag("BusinessDayDate", receipt.business_date),
        _tag("EndDateTime", time),
        _tag("OperatorID", receipt.operator_id) if receipt.operator_id else "",
        _tag("CurrencyCode", receipt.currency),
        "<RetailTransaction>",
        *(_line(line, tag, link, receipt.currency) for line in receipt.lines),
        *(_tender(tender, receipt.currency) for tender in receipt.tenders),
        f"<LineItem><Tax><Amount>{_money(receipt.tax_cents, receipt.currency)}</Amount></Tax></LineItem>",
        f"<Customer>{_tag('CustomerID', receipt.customer_id)}</Customer>" if receipt.customer_id else "",
        f'<Total TotalType="TransactionGrandAmount">{_money(receipt.total_cents, receipt.currency)}</Total>',
        "</RetailTransaction></Transaction>",
    ]
    return "".join(parts)


def _line(line: Line, tag: str, link: str, currency: str) -> str:
    levels = (("Department", line.department), ("Category", line.category))
    hierarchy = "".join(
        f"<MerchandiseHierarchy Level={quoteattr(level)}>{escape(name)}</MerchandiseHierarchy>"
        for level, name in levels
        if name
    )
    discount = _tag("ExtendedDiscountAmount", _money(line.discount_cents, currency)) if line.discount_cents else ""
    quantity = format(Decimal(repr(line.quantity)), "f")
    tax = f"<Tax><Amount>{_money(line.tax_cents, currency)}</Amount></Tax>" if line.tax_cents else ""
    return (
        f"<LineItem>{_tag('SequenceNumber', line.line_number)}<{tag}>{_tag('ItemID', line.sku)}"
        f"{_tag('Description', line.description)}{hierarchy}"
        f"{_tag('RegularSalesUnitPrice', _money(line.unit_price_cents, currency))}"
        f"{_tag('ExtendedAmount', _money(line.amount_cents, currency))}"
        f"<Quantity UnitOfMeasureCode={quoteattr(line.unit.upper())}>{quantity}</Quantity>"
        f"{discount}{tax}{link}</{tag}></LineItem>"
    )


def _tender(tender: Tender, currency: str) -> str:
    names = {"gift_card": "GiftCard", "ebt": "EBT"}
    kind = names.get(tender.tender_type.value, tender.tender_type.value.capitalize())
    card = ""
    if tender.card_last4 or tender.card_brand:
        number = _tag("PrimaryAccountNumber", f"************{tender.card_last4}") if tender.card_last4 else ""
        brand = _tag("CreditCardCompanyCode", tender.card_brand) if tender.card_brand else ""
        card = f"<CreditDebit>{number}{brand}</CreditDebit>"
    amount = _tag("Amount", _money(tender.amount_cents, currency))
    return f'<LineItem><Tender TenderType="{kind}">{amount}{card}</Tender></LineItem>'


def _link(receipt_id: str) -> str:
    key = natural_key(receipt_id)
    return (
        f'<TransactionLink ReasonCode="Return">{_tag("RetailStoreID", key.store_id)}'
        f"{_tag('WorkstationID', key.register_id)}{_tag('SequenceNumber', key.sequence_number)}"
        f"{_tag('BusinessDayDate', key.business_date)}</TransactionLink>"
    )


def _tag(name: str, text: object) -> str:
    return f"<{name}>{escape(str(text))}</{name}>"


def _money(cents: int, currency: str) -> str:
    return format(Decimal(cents).scaleb(-EXPONENTS[currency]), "f")
