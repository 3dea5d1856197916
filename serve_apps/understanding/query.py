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


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of the sentence that was understood; `span` counts characters, end excluded."""

    kind: Kind
    text: str
    value: str
    span: tuple[int, int]


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
    """Everything one sentence asks for. Several store ids mean that one name is shared."""

    receipt_id: str | None = None
    card_last4: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    days: Days | None = None
    cents: Cents | None = None
    store_ids: tuple[int, ...] = ()
    store_name: str | None = None
    product_terms: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was understood that a receipt could be found by."""
        return not self.mentions
