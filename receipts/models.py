"""The receipt, the store and the customer as they travel: field names follow ARTS POSLog v6 in snake_case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    field_validator,
    model_validator,
)
from typing_extensions import override  # typing has it from 3.12 on

from receipts.errors import InvalidInput
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE, MAX_STORE, NaturalKey, parse_receipt_id, receipt_id
from receipts.money import EXPONENTS

MAX_CENTS = 10**11  # a billion dollars: beyond it a till is broken
MAX_LINES = 2_000

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS = range(2000, 2100)  # what an id can say; it also keeps every date within what Postgres and Parquet hold


def _written_day(value: object) -> object:
    """Refuse what pydantic would read as seconds since 1970: a till that sends 20261117 means a day."""
    if isinstance(value, datetime) or not (isinstance(value, date) or _DAY.fullmatch(str(value))):
        raise ValueError("expected a day written YYYY-MM-DD")
    return value


def _written_instant(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _DAY.match(value)):
        raise ValueError("expected an instant such as 2026-11-17T18:05:00-05:00")
    return value


def _sane_day(value: date) -> date:
    if value.year not in _YEARS:
        raise ValueError(f"the year is not between {_YEARS[0]} and {_YEARS[-1]}")
    return value


def _utc(value: datetime) -> datetime:
    _sane_day(value)  # first: the conversion overflows at the ends of the calendar
    return value.astimezone(UTC)


# No control characters: Postgres refuses NUL, and a receipt is one line per line.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

CUSTOMER_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"
Cents = Annotated[int, Field(ge=-MAX_CENTS, le=MAX_CENTS, strict=True)]
Text = Annotated[str, Field(pattern=_PRINTABLE)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
CustomerId = Annotated[str, Field(pattern=CUSTOMER_ID_PATTERN)]
Sku = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Day = Annotated[date, BeforeValidator(_written_day), AfterValidator(_sane_day)]
Instant = Annotated[AwareDatetime, BeforeValidator(_written_instant), AfterValidator(_utc)]


class Record(BaseModel):
    """A frozen record that refuses fields it does not know. Its errors never repeat what was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

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

    line_number: int = Field(ge=1, le=MAX_LINES, strict=True)
    sku: Sku
    description: Name
    department: Text = Field(default="", max_length=100)
    category: Text = Field(default="", max_length=100)
    quantity: float = Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False, strict=True)
    unit: Text = Field(default="ea", max_length=10)
    unit_price_cents: Cents
    discount_cents: Cents = 0
    tax_cents: Cents = 0
    amount_cents: Cents


class Tender(Record):
    """One payment. A full card number never gets here: only the last four digits do."""

    tender_type: TenderType
    amount_cents: Cents
    card_brand: Text | None = Field(default=None, max_length=30)
    card_last4: str | None = Field(default=None, pattern=r"^[0-9]{4}$")


class Receipt(Record):
    """One sale, return or void as a till reports it. The id is derived; if one is sent it must agree.

    Amounts add up: subtotal = sum of line amounts, total = subtotal + tax = sum of tenders.
    `discount_cents` is what was already taken off the lines and is shown only.
    """

    receipt_id: str = ""
    receipt_type: ReceiptType
    store_id: int = Field(ge=1, le=MAX_STORE, strict=True)
    register_id: int = Field(ge=1, le=MAX_REGISTER, strict=True)
    business_date: Day
    sequence_number: int = Field(ge=1, le=MAX_SEQUENCE, strict=True)
    purchased_at: Instant
    operator_id: Text | None = Field(default=None, max_length=40)
    customer_id: CustomerId | None = None
    currency: str = "USD"
    # The first wrong line ends the reading: a megabyte of wrong lines would be two seconds of composing complaints.
    lines: Annotated[tuple[Line, ...], FailFast()] = Field(min_length=1, max_length=MAX_LINES)
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
            raise ValueError(f"expected one of {', '.join(sorted(EXPONENTS))}")
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
        if len({line.line_number for line in self.lines}) != len(self.lines):
            raise ValueError("two lines have the same line_number")
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
    aliases: tuple[Name, ...] = Field(default=(), max_length=50)
    street: Text = Field(max_length=200)
    city: Name
    state: Text = Field(max_length=40)
    postal_code: Text = Field(max_length=12)
    phone: Text = Field(default="", max_length=30)
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
    """A loyalty customer. Contact data is personal: it is stored apart and shown masked, and stays out of `repr`."""

    customer_id: CustomerId
    first_name: Name
    last_name: Name
    email: Text = Field(default="", max_length=200)
    phone: Text = Field(default="", max_length=30)
    street: Text = Field(default="", max_length=200)
    city: Text = Field(default="", max_length=100)
    state: Text = Field(default="", max_length=40)
    postal_code: Text = Field(default="", max_length=12)
    customer_since: Day
    home_store_id: int = Field(ge=1, le=MAX_STORE, strict=True)

    @override
    def __repr_args__(self) -> Iterator[tuple[str, str]]:
        yield "customer_id", self.customer_id
