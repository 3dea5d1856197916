"""The customer beside a receipt: who it is, what they spend, what they bought, and how they are reached."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup

from gradio_ui.answers import Contacts, CustomerContext, History
from gradio_ui.rendering import rendered
from gradio_ui.sessions import Session
from receipts.access import Permission

REASONS = {
    "confirm_identity": "to confirm who is calling",
    "send_receipt": "to send a receipt",
    "call_back": "to call back",
    "fraud_review": "to look into fraud",
    "other": "another reason",
}


def panel(context: CustomerContext, session: Session) -> Markup:
    """Return who a customer is and how they shop; contact data stay masked."""
    may_reveal = session.may(Permission.REVEAL_CONTACTS)
    return rendered(
        "customer.html", customer=context.customer, profile=context.profile, may_reveal=may_reveal, reasons=REASONS
    )


def clear(contacts: Contacts, seconds: float) -> Markup:
    """Return contact data in clear, for so many seconds."""
    return rendered("clear.html", contacts=contacts, seconds=seconds)


def history(found: History, opened: str, now: datetime, *, is_first: bool = True) -> Markup:
    """Return a page of a customer's receipts; `opened` is marked."""
    return rendered("history.html", history=found, opened=opened, now=now, is_first=is_first)
