"""What the API answers, as the portal reads it: frozen, and deaf to fields that it does not know yet."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from receipts.models import Receipt, Store

Text = Annotated[str, BeforeValidator(str)]


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FullReceipt(Answer):
    """One receipt with the store that printed it."""

    receipt: Receipt
    store: Store


class ReceiptSummary(Answer):
    """A receipt as a list shows it. `purchased_local` is the store's own clock, without a zone."""

    receipt_id: str
    store_name: str
    receipt_type: str
    purchased_at: AwareDatetime
    purchased_local: datetime
    customer_id: str | None = None
    total_cents: int
    currency: str
    item_count: int
    items: tuple[str, ...]
    card_last4: tuple[str, ...] = ()


class Reason(Answer):
    """Why a receipt matched: `kind` is exact or approximate."""

    field: str
    kind: str
    reason: str


class Highlight(Answer):
    """A line of the receipt that matched what was asked for."""

    line_number: int
    description: str


class Hit(Answer):
    """One found receipt with its reasons."""

    receipt: ReceiptSummary
    matched_on: tuple[Reason, ...] = ()
    highlights: tuple[Highlight, ...] = ()


class Understood(Answer):
    """A part of the query as it was understood; `span` counts characters of the query, end excluded."""

    kind: str
    text: str
    value: Text
    span: tuple[int, int]


class SearchAnswer(Answer):
    """The hits of a search, best first."""

    hits: tuple[Hit, ...]
    understood: tuple[Understood, ...] = ()
    relaxations: tuple[str, ...] = ()
    searched_from: date | None = None
    next_cursor: str | None = None


class Customer(Answer):
    """A customer with contact data already masked by the API."""

    customer_id: str
    first_name: str
    last_name: str
    email_masked: str
    phone_masked: str
    city: str
    customer_since: date


class Category(Answer):
    """What a customer spent on one category."""

    category: str
    spend_cents: int


class Month(Answer):
    """What a customer spent in one month, written 2026-11."""

    month: str
    spend_cents: int


class Profile(Answer):
    """What Gold knows about a customer."""

    lifetime_spend_cents: int
    visits: int
    average_basket_cents: int
    days_between_visits: float | None = None
    top_categories: tuple[Category, ...] = ()
    spend_by_month: tuple[Month, ...] = ()
    recent_pattern: str = ""


class CustomerContext(Answer):
    """A customer with the profile, which is missing until the pipeline has seen a purchase."""

    customer: Customer
    profile: Profile | None = None


class Contacts(Answer):
    """A customer's contact data in clear, until the moment at which they are masked again."""

    customer_id: str
    email: str = ""
    phone: str = ""
    address: str = ""
    masked_again_at: AwareDatetime


class Delivery(Answer):
    """A receipt on its way by mail: scheduled, sending, sent, failed or cancelled."""

    delivery_id: str
    receipt_id: str
    email_masked: str
    gift: bool = False
    status: str
    send_at: AwareDatetime
    detail: str | None = None


class StoryEvent(Answer):
    """Something that became of a receipt: sold, received, refined, returned, mailed or viewed."""

    at: AwareDatetime
    kind: str
    by: str | None = None
    detail: str | None = None
    receipt_id: str | None = None
    times: int = 1


class Story(Answer):
    """What became of a receipt, in order of time."""

    receipt_id: str
    events: tuple[StoryEvent, ...]


class History(Answer):
    """A page of a customer's receipts, newest first."""

    customer_id: str
    receipts: tuple[ReceiptSummary, ...]
    next_cursor: str | None = None
