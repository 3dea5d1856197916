"""What a sentence asks for, typed: the parser's answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Kind(StrEnum):
    """What a part of a sentence, or a reason for a hit, is about."""

    RECEIPT = "receipt"
    CARD = "card"
    CUSTOMER = "customer"
    DATE = "date"
    AMOUNT = "amount"
    STORE = "store"
    PRODUCT = "product"
    TENDER = "tender"
    WITHOUT = "without"
    REGISTER = "register"
    OPERATOR = "operator"
    NUMBER = "number"
    TIME = "time"


# What a search may give up when nothing fits, the least telling first; whose receipt it is is never given up.
RELAXABLE = (Kind.AMOUNT, Kind.STORE, Kind.DATE)


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of the sentence that was understood; `span` counts characters, end excluded.

    `confidence` of 0 to 1 says how sure the parser is: 1 for what is written out, less for what is near or left over.
    """

    kind: Kind
    text: str
    value: str
    span: tuple[int, int]
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Days:
    """Calendar days, both ends included; None is an open end."""

    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Cents:
    """Amounts, both ends included; None is an open end."""

    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class StoreNames:
    """A store as people may call it."""

    store_id: int
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Everything one sentence asks for. Several store ids mean that one name is shared.

    `quantities` stand beside `product_terms`, None where no number was said; `tenders` are values of TenderType.
    """

    receipt_id: str | None = None
    card_last4: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    email: str | None = None
    phone: str | None = None
    days: Days | None = None
    cents: Cents | None = None
    store_ids: tuple[int, ...] = ()
    store_name: str | None = None
    product_terms: tuple[str, ...] = ()
    quantities: tuple[int | None, ...] = ()
    without_terms: tuple[str, ...] = ()
    tenders: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was understood that a receipt could be found by."""
        return not self.mentions
