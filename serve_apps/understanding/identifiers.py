"""What names a receipt, a card or a customer outright: read first, because the rest of the grammar sees numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id
from receipts.text import normalise_email, normalise_phone
from serve_apps.understanding.numerals import DIGITS, spelt
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate

_RECEIPT = re.compile(
    r"(?<![\w-])(?:(?:receipt|rcpt|transaction|trans|id|no\.?|number|#)\s*:?#?\s*)*(?P<id>\d(?:[\s-]?\d){19,24})(?![\w-])"
)
_DIGIT = rf"(?:{'|'.join(DIGITS)})"
_WHOLE_CARD = re.compile(r"(?<![\w-])\d(?:[\s-]?\d){11,18}(?![\w-])")
_BRAND = r"(?:credit|debit|dbt|crd|visa|mastercard|master card|mc|amex|american express|discover|gift|ebt|bank|store)"
_ENDS = r"(?:(?:end|finish)(?:s|es|ing|ed)?\s*(?:in|with|on|w/|:)?|last\s+(?:four|4)(?:\s+(?:digits?|numbers?|of))*(?:\s+(?:is|are|was|were|of card|card))*|ending)"
_CARD = re.compile(
    rf"(?<!\w)(?:(?:(?:the|her|his|their|my|on|with|w/|using|paid|by|a|an)\s+)*"
    rf"(?:(?:{_BRAND}\s*)?(?:card|cc)|{_BRAND})\s*(?:no\.?|number|num|#)?\s*(?:that|which)?\s*(?:{_ENDS})?|{_ENDS})"
    rf"\s*(?:is|are|was|:|=|in|with|of|the|digits|numbers?)*\s*[#x*.•…]*\s*(?P<n>\d{{4}})(?![\w%-]|[./,:]\d)"
    rf"|(?:\b(?:card|cc)|{_ENDS})\s+(?:number\s+|is\s+|are\s+|was\s+|digits\s+|ending\s+|ends\s+|in\s+)*(?P<n4>(?:{_DIGIT}[\s,-]+){{3}}{_DIGIT})\b"
    rf"|(?<![\w])(?:x{{1,12}}[- ]?|[*•]{{1,16}}[- ]?|\.{{3}}|…)(?P<n2>\d{{4}})(?![\w%])"
    rf"|(?<![\w$./-])(?P<n3>\d{{4}})\s+(?:card|visa|mastercard|amex|debit)\b"
)  # fmt: skip
_CUSTOMER = re.compile(
    r"(?<!\w)(?=[lcmin#:])(?:(?:loyalty|customer|member|cust)\s*)*(?:id|no\.?|number|num|#)?\s*:?#?\s*(?P<id>c\d{7})(?!\w)"
)
_EMAIL = re.compile(r"[^\s@\ue000]{1,64}@[^\s@\ue000]{1,190}\.[a-z]{2,24}")
_PHONE = re.compile(
    r"(?<![\w$.])(?:\+?1[-. ]?)?\(?\d{3}\)?[-. ]?\d{3}[-. ]\d{4}(?!\w)|(?<![\w$.])(?:phone|cell|ph|tel)\s*(?:number|#|no\.?|is|:)*\s*\d{7,11}\b"
)
_LONG = re.compile(r"(?<![\w$])\d{7,}(?!\w)")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The identifiers of one sentence."""

    receipt_id: str | None = None
    card_last4: str | None = None
    customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
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
    email, slate = _contact(slate, _EMAIL, mentions)
    phone, slate = _contact(slate, _PHONE, mentions)
    for m in list(_LONG.finditer(slate.left)):
        slate = slate.cover(*m.span())
    contacts = (normalise_email(email) if email else None, normalise_phone(phone) if phone else None)
    return Identifiers(receipt_id, card, customer_id, *contacts, tuple(mentions), tuple(dict.fromkeys(notes))), slate


def _contact(slate: Slate, pattern: re.Pattern[str], mentions: list[Mention]) -> tuple[str | None, Slate]:
    """Return the first that stands there; the answer repeats what was typed, but nothing else does."""
    found: str | None = None
    for m in list(pattern.finditer(slate.left)):
        if found is None:
            found = slate.said(*m.span())
            mentions.append(Mention(Kind.CUSTOMER, found, found, m.span()))
        slate = slate.cover(*m.span())
    return found, slate


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
            spoken = m.groupdict().get("n4")
            digits = spelt(spoken) if spoken else re.sub(r"\D", "", m[0])[-4:]
            if found is None:
                found = digits
                mentions.append(Mention(Kind.CARD, f"card ending {digits}", digits, m.span()))
            slate = slate.cover(*m.span())
    return found, slate
