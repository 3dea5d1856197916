"""What names a receipt, a card or a customer outright: read first, because the rest of the grammar sees numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate

_RECEIPT = re.compile(
    r"(?<![\w-])(?:(?:receipt|rcpt|transaction|trans|id|no\.?|number|#)\s*:?#?\s*)*(?P<id>\d(?:[\s-]?\d){19,24})(?![\w-])"
)
_WHOLE_CARD = re.compile(r"(?<![\w-])\d(?:[\s-]?\d){11,18}(?![\w-])")
_BRAND = r"(?:credit|debit|visa|mastercard|master card|mc|amex|american express|discover|gift|ebt|bank|store)"
_ENDS = r"(?:end(?:s|ing|ed)?\s*(?:in|with|on|w/|:)?|last\s+(?:four|4)(?:\s+(?:digits?|numbers?|of))*(?:\s+(?:is|are|was|were|of card|card))*|ending)"
_CARD = re.compile(
    rf"(?<!\w)(?:(?:(?:the|her|his|their|my|on|with|w/|using|paid|by|a|an)\s+)*"
    rf"(?:(?:{_BRAND}\s*)?(?:card|cc)|{_BRAND})\s*(?:no\.?|number|num|#)?\s*(?:that|which)?\s*(?:{_ENDS})?|{_ENDS})"
    rf"\s*(?:is|are|was|:|=|in|with|of|the|digits|numbers?)*\s*[#x*.•…]*\s*(?P<n>\d{{4}})(?![\w%-]|[./,:]\d)"
    rf"|(?<![\w])(?:x{{1,12}}[- ]?|[*•]{{1,16}}[- ]?|\.{{3}}|…)(?P<n2>\d{{4}})(?![\w%])"
    rf"|(?<![\w$./-])(?P<n3>\d{{4}})\s+(?:card|visa|mastercard|amex|debit)\b"
)  # fmt: skip
_CUSTOMER = re.compile(
    r"(?<!\w)(?:(?:loyalty|customer|member|cust)\s*)*(?:id|no\.?|number|num|#)?\s*:?#?\s*(?P<id>c\d{7})(?!\w)"
)
_EMAIL = re.compile(r"[^\s@\x1f]{1,64}@[^\s@\x1f]{1,190}\.[a-z]{2,24}")
_PHONE = re.compile(
    r"(?<![\w$.])(?:\+?1[-. ]?)?\(?\d{3}\)?[-. ]?\d{3}[-. ]\d{4}(?!\w)|(?<![\w$.])(?:phone|cell|ph|tel)\s*(?:number|#|no\.?|is|:)*\s*\d{7,11}\b"
)
_LONG = re.compile(r"(?<![\w$])\d{7,}(?!\w)")
CONTACT_NOTE = "An e-mail address or phone number was left out: search by name or loyalty number instead."


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The identifiers of one sentence."""

    receipt_id: str | None = None
    card_last4: str | None = None
    customer_id: str | None = None
    mentions: tuple[Mention, ...] = ()
    notes: tuple[str, ...] = ()


def find_identifiers(slate: Slate) -> tuple[Identifiers, Slate]:
    """Return the identifiers of a sentence and the slate with them covered.

    A whole card number is reduced to its last four digits and never repeated. Raises InvalidInput when the
    sentence holds nothing but a receipt id that was misread.
    """
    mentions: list[Mention] = []
    notes: list[str] = []
    receipt_id, slate = _receipt(slate, mentions, notes)
    card, slate = _card(slate, mentions)
    customer_id = None
    if m := _CUSTOMER.search(slate.left):
        customer_id = m["id"].upper()
        mentions.append(Mention(Kind.CUSTOMER, slate.said(*m.span()), customer_id, m.span()))
        slate = slate.cover(*m.span())
    for pattern in (_EMAIL, _PHONE):
        for m in list(pattern.finditer(slate.left)):
            slate = slate.cover(*m.span())
            notes.append(CONTACT_NOTE)
    for m in list(_LONG.finditer(slate.left)):
        slate = slate.cover(*m.span())
    return Identifiers(receipt_id, card, customer_id, tuple(mentions), tuple(dict.fromkeys(notes))), slate


def _receipt(slate: Slate, mentions: list[Mention], notes: list[str]) -> tuple[str | None, Slate]:
    found: str | None = None
    for m in list(_RECEIPT.finditer(slate.left)):
        try:
            digits = parse_receipt_id(m["id"])
        except InvalidInput as error:
            notes.append(f"{slate.said(*m.span('id'))} is no receipt id: {error.problem}.")
        else:
            if found is None:
                found = digits
                mentions.append(Mention(Kind.RECEIPT, slate.said(*m.span("id")), digits, m.span("id")))
        slate = slate.cover(*m.span())
    return found, slate


def _card(slate: Slate, mentions: list[Mention]) -> tuple[str | None, Slate]:
    found: str | None = None
    for pattern in (_WHOLE_CARD, _CARD):
        for m in list(pattern.finditer(slate.left)):
            digits = re.sub(r"\D", "", m[0])[-4:]
            if found is None:
                found = digits
                mentions.append(Mention(Kind.CARD, f"card ending {digits}", digits, m.span()))
            slate = slate.cover(*m.span())
    return found, slate
