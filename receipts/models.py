"""The receipt, the store and the customer as they travel: field names follow ARTS POSLog v6 in snake_case."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from receipts.errors import InvalidInput
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE, MAX_STORE, NaturalKey, parse_receipt_id, receipt_id
from receipts.money import EXPONENTS

MAX_CENTS = 10**11  # a billion dollars: beyond it a till is broken
MAX_LINES = 2_000

Cents = Annotated[int, Field(ge=-MAX_CENTS, le=MAX_CENTS, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
CustomerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Sku = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Instant = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def canonical(self) -> str:
        """Return the one JSON rendering: what is digested, kept in Bronze and answered to a lookup."""
        return self.model_dump_json(exclude_none=True)


class ReceiptType(StrEnum):
    """What a receipt records."""

    SALE = "sale"
    RETURN = "return"
    VOID = "void"


class TenderType(StrEnum):
    """How a receipt was paid."""

    CASH = "cash"
    CREDIT = "credit"
    DEBIT = "debit"
    EBT = "ebt"
    GIFT_CARD = "gift_card"
    CHECK = "check"
    MOBILE = "mobile"
    COUPON = "coupon"
    OTHER = "other"


class Line(Record):
    """One line item. `amount_cents` is what it cost after its discount and before tax."""

    line_number: int = Field(ge=1, le=MAX_LINES)
    sku: Sku
    description: Name
    department: str = Field("", max_length=100)
    category: str = Field("", max_length=100)
    quantity: float = Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)
    unit: str = Field("ea", max_length=10)
    unit_price_cents: Cents
    discount_cents: Cents = 0
    tax_cents: Cents = 0
    amount_cents: Cents


class Tender(Record):
    """One payment. A full card number never gets here: only the last four digits do."""

    tender_type: TenderType
    amount_cents: Cents
    card_brand: str | None = Field(None, max_length=30)
    card_last4: str | None = Field(None, pattern=r"^[0-9]{4}$")


class Receipt(Record):
    """One sale, return or void as a till reports it. The id is derived; if one is sent it must agree.

    Amounts add up: subtotal = sum of line amounts, total = subtotal + tax = sum of tenders.
    `discount_cents` is what was already taken off the lines and is shown only.
    """

    receipt_id: str = ""
    receipt_type: ReceiptType
    store_id: int = Field(ge=1, le=MAX_STORE, strict=True)
    register_id: int = Field(ge=1, le=MAX_REGISTER, strict=True)
    business_date: date
    sequence_number: int = Field(ge=1, le=MAX_SEQUENCE, strict=True)
    purchased_at: Instant
    operator_id: str | None = Field(None, max_length=40)
    customer_id: CustomerId | None = None
    currency: str = "USD"
    lines: tuple[Line, ...] = Field(min_length=1, max_length=MAX_LINES)
    subtotal_cents: Cents
    discount_cents: Cents = 0
    tax_cents: Cents = 0
    total_cents: Cents
    tenders: tuple[Tender, ...] = Field(max_length=50)
    original_receipt_id: str | None = None

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in EXPONENTS:
            raise ValueError(f"{value[:10]} is not one of {', '.join(sorted(EXPONENTS))}")
        return value

    @field_validator("original_receipt_id")
    @classmethod
    def _well_formed(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return parse_receipt_id(value)
        except InvalidInput as error:
            raise ValueError(error.problem) from None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        try:
            derived = receipt_id(self.natural_key)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        if self.receipt_id not in ("", derived):
            raise ValueError(f"receipt_id does not belong to this natural key, whose id is {derived}")
        object.__setattr__(self, "receipt_id", derived)  # frozen for everyone else; this completes construction
        lines = sum(line.amount_cents for line in self.lines)
        if lines != self.subtotal_cents:
            raise ValueError(f"subtotal_cents is {self.subtotal_cents}, but the lines add up to {lines}")
        if self.subtotal_cents + self.tax_cents != self.total_cents:
            raise ValueError(f"total_cents is {self.total_cents}, not subtotal_cents + tax_cents")
        paid = sum(tender.amount_cents for tender in self.tenders)
        if self.receipt_type is not ReceiptType.VOID and paid != self.total_cents:
            raise ValueError(f"tenders add up to {paid}, not to total_cents {self.total_cents}")
        return self

    @property
    def natural_key(self) -> NaturalKey:
        """Return what the id is derived from."""
        return NaturalKey(self.store_id, self.register_id, self.business_date, self.sequence_number)


class Store(Record):
    """A shop: where it is, what people call it, when its day begins."""

    store_id: int = Field(ge=1, le=MAX_STORE, strict=True)
    name: Name
    aliases: tuple[Name, ...] = ()
    street: str = Field(max_length=200)
    city: Name
    state: str = Field(max_length=40)
    postal_code: str = Field(max_length=12)
    phone: str = Field("", max_length=30)
    time_zone: str
    region_id: int = Field(ge=1, le=32_000, strict=True)
    region: Name

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not an IANA time zone such as America/New_York") from None
        return value

    def local_day(self, instant: datetime) -> date:
        """Return the store's own calendar day of an instant."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


class Customer(Record):
    """A loyalty customer. Contact data is personal: it is stored apart and shown masked."""

    customer_id: CustomerId
    first_name: Name
    last_name: Name
    email: str = Field("", max_length=200)
    phone: str = Field("", max_length=30)
    street: str = Field("", max_length=200)
    city: str = Field("", max_length=100)
    state: str = Field("", max_length=40)
    postal_code: str = Field("", max_length=12)
    customer_since: date
    home_store_id: int = Field(ge=1, le=MAX_STORE, strict=True)
