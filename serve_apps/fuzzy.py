"""Receipts by half-remembered facts: each field may be a little wrong, and the answer says where it is."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Annotated, Self

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from configs.settings import Settings
from receipts.access import Permission
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE
from receipts.models import CustomerId, TenderType
from receipts.text import normalise_phone
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.search_answering import Page, Person, Search, answer_search, customers_wanted
from serve_apps.search_answers import SearchAnswer, Understood
from serve_apps.search_knowledge import ShopKnowledge, Shops, knowing_shops
from serve_apps.search_products import Term
from serve_apps.search_wanted import AMOUNT_TOLERANCE_CENTS, DATE_TOLERANCE_DAYS, Likely, Roll, Wanted
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.understanding.query import Cents, Days, Kind
from serve_apps.understanding.stores import match_store

router = APIRouter()
Searcher = Annotated[Caller, Depends(guard(Permission.SEARCH_RECEIPTS))]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2099, 12, 31))]
Cent = Annotated[int, Field(ge=-(10**11), le=10**11)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=30, pattern=r"^[+0-9 ().\-/]*$")]
Number = Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Operator = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20, pattern=r"^[^\x00-\x1f\x7f]+$")
]

_PHONE_DIGITS = 7  # a number without its area code; fewer are a guess at many people's
_ASKABLE = (
    "store", "date_from", "date_to", "amount_cents", "amount_min_cents", "amount_max_cents", "customer_name",
    "customer_id", "customer_email", "customer_phone", "card_last4", "tender", "items", "register_id", "operator_id",
    "number_from", "number_to", "time_from", "time_to",
)  # fmt: skip
_RANGES = (
    ("date_from", "date_to"), ("amount_min_cents", "amount_max_cents"), ("number_from", "number_to"),
    ("time_from", "time_to"),
)  # fmt: skip
_EVERYWHERE = {"register_id", "number_from", "number_to"}  # every store has them


class FuzzyQuestion(BaseModel):
    """What is remembered; at least one of the fields that a receipt can be found by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: Words | None = None
    date_from: Day | None = None
    date_to: Day | None = None
    date_tolerance_days: int = Field(DATE_TOLERANCE_DAYS, ge=0, le=31)
    amount_cents: Cent | None = None
    amount_min_cents: Cent | None = None
    amount_max_cents: Cent | None = None
    amount_tolerance_cents: int = Field(AMOUNT_TOLERANCE_CENTS, ge=0, le=100_000)
    customer_name: Words | None = None
    customer_id: CustomerId | None = None
    customer_email: Email | None = None
    customer_phone: Phone | None = None
    card_last4: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")] | None = None
    tender: TenderType | None = None
    items: Annotated[list[Words], Field(min_length=1, max_length=8)] | None = None
    register_id: Annotated[int, Field(ge=1, le=MAX_REGISTER)] | None = None
    operator_id: Operator | None = None
    number_from: Number | None = None
    number_to: Number | None = None
    time_from: Clock | None = None
    time_to: Clock | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None

    @model_validator(mode="after")
    def _asks(self) -> Self:
        asked = {name for name in _ASKABLE if getattr(self, name) is not None}
        if not asked:
            raise ValueError(f"give at least one of: {', '.join(_ASKABLE)}")
        if asked <= _EVERYWHERE:
            raise ValueError("register_id, number_from and number_to are in every store: give a store or a date too")
        return self

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for first, last in _RANGES:
            low, high = getattr(self, first), getattr(self, last)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{first} lies beyond {last}")
        low, high = self.amount_min_cents, self.amount_max_cents
        if self.amount_cents is not None and (low is not None or high is not None):
            raise ValueError("give amount_cents or a range of amount_min_cents and amount_max_cents, not both")
        if self.customer_phone is not None and len(normalise_phone(self.customer_phone)) < _PHONE_DIGITS:
            raise ValueError(f"customer_phone has fewer than {_PHONE_DIGITS} digits")
        return self


@router.post("/")
async def fuzzy(question: FuzzyQuestion, caller: Searcher, serving: Serving, shops: Shops) -> SearchAnswer:
    """Return receipts near what is remembered, the nearest first, with the reasons for each."""
    page = Page.of(question.model_dump_json(exclude={"cursor", "limit"}), question.limit, question.cursor)
    wanted, resolved, notes = await _wanted(question, caller, serving, shops)
    return await answer_search(serving, caller, Search(wanted, tuple(resolved), tuple(notes)), page)


async def _wanted(
    question: FuzzyQuestion, caller: Caller, context: ServingContext, shops: ShopKnowledge
) -> tuple[Wanted, list[Understood], list[str]]:
    """Resolve names to ids; what a name was taken for is said, and what it could not be taken for too."""
    known = await shops.current()
    resolved: list[Understood] = []
    notes: list[str] = []
    stores = None
    if question.store is not None:
        match = match_store(question.store, known.stores)
        if match is None:
            notes.append("No store is called like that: left it out.")
        else:
            stores = Likely(match.store_ids, (match.score,) * len(match.store_ids))
            resolved.append(_taken_for(Kind.STORE, question.store, match.name))
    person = Person(question.customer_id, question.customer_email, question.customer_phone, question.customer_name)
    customers, note = await customers_wanted(context, caller.principal, person)
    notes.extend(note)
    terms = [Term(item, shops.corrected(item)) for item in question.items or ()]
    resolved += [_taken_for(Kind.PRODUCT, term.text, term.lexical) for term in terms]
    return (
        Wanted(
            stores=stores,
            days=_days(question),
            date_tolerance_days=question.date_tolerance_days,
            cents=_cents(question),
            amount_tolerance_cents=question.amount_tolerance_cents,
            customers=customers,
            by_contact=person.by_contact,
            card_last4=question.card_last4,
            tenders=(question.tender,) if question.tender else (),
            terms=tuple(terms),
            products=await shops.products.of(terms) if terms else None,
            roll=_roll(question),
        ),
        resolved,
        notes,
    )


def _days(question: FuzzyQuestion) -> Days | None:
    if question.date_from is None and question.date_to is None:
        return None
    return Days(question.date_from, question.date_to)


def _cents(question: FuzzyQuestion) -> Cents | None:
    if question.amount_cents is not None:
        return Cents(question.amount_cents, question.amount_cents)
    if question.amount_min_cents is None and question.amount_max_cents is None:
        return None
    return Cents(question.amount_min_cents, question.amount_max_cents)


def _roll(question: FuzzyQuestion) -> Roll:
    return Roll(**question.model_dump(include={field.name for field in fields(Roll)}))


def _taken_for(kind: Kind, said: str, value: str) -> Understood:
    return Understood(kind=kind, text=said, value=value, span=(0, len(said)))


def build_app(settings: Settings) -> FastAPI:
    """Return the fuzzy search application."""
    context = serving_context(settings, application="fuzzy")
    return build_api("Fuzzy receipt search", context, [router], lifespan=knowing_shops(context))
