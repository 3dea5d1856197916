"""Which pages there are, what it takes to open each, and which of them a person sees."""

from __future__ import annotations

from dataclasses import dataclass

from gradio_ui.sessions import Session
from receipts.access import Permission


@dataclass(frozen=True, slots=True)
class Page:
    """A page of one kind of work, mounted at `path`; `permission` opens it."""

    path: str
    title: str
    permission: Permission
    script: str = "desk"  # under static/
    searches: bool = False  # whether the bar holds the search box


REP = Page("/rep", "Receipts", Permission.SEARCH_RECEIPTS, script="rep", searches=True)
SUPERVISOR = Page("/supervisor", "Supervision", Permission.EXPORT_RECEIPTS)
FRAUD = Page("/fraud", "Fraud patterns", Permission.READ_FRAUD_PATTERNS)
PRIVACY = Page("/privacy", "Privacy", Permission.FULFIL_PRIVACY_REQUESTS)
ADMIN = Page("/admin", "Operations", Permission.OPERATE)
PAGES = (REP, SUPERVISOR, FRAUD, PRIVACY, ADMIN)


def pages_of(session: Session) -> tuple[Page, ...]:
    """Return the pages of a person's role; the first is where they begin."""
    return tuple(page for page in PAGES if session.may(page.permission))
