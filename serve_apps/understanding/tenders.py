"""How a sentence says that was paid: in cash, by check, with food stamps."""

from __future__ import annotations

import re

from receipts.models import TenderType
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate

_PAID = r"(?:(?:paid|paying|payed|pays|pay|charged|put\s+it)\s+(?:it\s+|for\s+it\s+)?(?:in|with|by|using|via|on|w/)?|used|using|with|by|via)\s+(?:an?\s+|her\s+|his\s+|their\s+|my\s+|the\s+)?"
_NAMES = {
    TenderType.CASH: r"(?:in\s+)?cash",
    TenderType.CREDIT: r"credit(?:\s*card)?|visa(?:\s+credit|\s+card)?|master\s?card|mc|amex|american\s+express|discover(?:\s+card)?",
    TenderType.DEBIT: r"(?:visa\s+)?debit(?:\s*card)?|bank\s+card",
    TenderType.EBT: r"ebt(?:\s*card)?|snap|food\s*stamps?|wic",
    TenderType.GIFT_CARD: r"gift\s*cards?",
    TenderType.CHECK: r"(?:personal\s+)?(?:check|cheque)",
    TenderType.MOBILE: r"apple\s*pay|google\s*pay|samsung\s*pay|g\s?pay|(?:her|his|the|my)\s+(?:phone|watch)",
}
_FORMS = [(tender, re.compile(rf"(?<!\w)(?:{_PAID})(?:{name})(?!\w)")) for tender, name in _NAMES.items()]
# Names that are nothing else stand alone, too: "cash, last tuesday".
_ALONE = [
    (TenderType.CASH, re.compile(r"(?<![\w$])(?:in\s+)?cash(?=\s*(?:[,;.]|$|purchase|sale|payment|transaction))")),
    (TenderType.DEBIT, re.compile(r"(?<!\w)debit(?!\w)")),
    (TenderType.EBT, re.compile(r"(?<!\w)(?:ebt|food\s*stamps?)(?!\w)")),
    (TenderType.MOBILE, re.compile(r"(?<!\w)(?:apple|google|samsung)\s*pay(?!\w)")),
    (TenderType.CREDIT, re.compile(r"(?<!\w)(?:visa|master\s?card|amex)(?!\w)")),
]


def find_tenders(slate: Slate) -> tuple[tuple[str, ...], list[Mention], Slate]:
    """Return how a sentence says that was paid, and the slate with it covered; card numbers are covered already."""
    found: list[str] = []
    mentions: list[Mention] = []
    for tender, form in (*_FORMS, *_ALONE):
        for m in form.finditer(slate.left):
            slate = slate.cover(*m.span())
            if tender not in found:
                found.append(str(tender))
                mentions.append(Mention(Kind.TENDER, slate.said(*m.span()).strip(), str(tender), m.span()))
    return tuple(found), mentions, slate
