"""Receipts found: by a sentence, by a number, by single fields, and page after page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

import gradio as gr
from markupsafe import Markup
from pydantic import Field, StringConstraints, model_validator

from gradio_ui import render
from gradio_ui.answers import FullReceipt, SearchAnswer
from gradio_ui.api import Calls
from gradio_ui.asking import Asked, answered, asked
from gradio_ui.sessions import Session
from receipts.access import Permission
from receipts.identity import DIGITS, MAX_REGISTER, MAX_SEQUENCE, parse_receipt_id
from receipts.models import TenderType

_MOST_SHOWN = 2_000  # receipts in one list: more than anybody scrolls through
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Amount = Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000, decimal_places=2)]
Number = Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


class Question(Asked):
    """A search in plain words."""

    text: Annotated[str, Field(min_length=1, max_length=300)]


class Fields(Asked):
    """A search by what is known of single fields, as the form has them."""

    store: Words | None = None
    date_from: date | None = None
    date_to: date | None = None
    time_from: Clock | None = None
    time_to: Clock | None = None
    register_id: Annotated[int, Field(ge=1, le=MAX_REGISTER)] | None = None
    operator_id: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    number_from: Number | None = None
    number_to: Number | None = None
    amount_min: Amount | None = None
    amount_max: Amount | None = None
    tender: TenderType | None = None
    card_last4: Annotated[str, StringConstraints(pattern=r"^\d{4}$")] | None = None
    item: Words | None = None
    customer_name: Words | None = None

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.model_fields_set - {"kind"}:
            raise ValueError("fill in at least one field")
        return self

    def body(self) -> dict[str, object]:
        """Return the question as the API takes it: amounts in cents, items as a list."""
        apart = {"kind", "item", "amount_min", "amount_max"}
        told: dict[str, object] = self.model_dump(mode="json", exclude_none=True, exclude=apart)
        for name in ("amount_min", "amount_max"):
            amount: Decimal | None = getattr(self, name)
            if amount is not None:
                told[f"{name}_cents"] = int(amount * 100)
        if self.item:
            told["items"] = [self.item]
        return told


class More(Asked):
    """The next page of a list: the question as it was asked, and where its last page ended."""

    text: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    fields: Fields | None = None
    cursor: Annotated[str, Field(max_length=200)]
    shown: Annotated[int, Field(ge=1, le=_MOST_SHOWN)]

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if (self.text is None) == (self.fields is None):
            raise ValueError("expected the question of the list, in words or by fields")
        return self


async def search(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Find receipts: by number when the text is one, else by what it says."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        text = asked(event, Question).text
        now = datetime.now(UTC)
        if _looks_like_a_number(text):
            found = await api.get(FullReceipt, "/receipt/{receipt_id}", parse_receipt_id(text))
            return Markup(), render.single(found, now)
        answer = await api.post(SearchAnswer, "/search/", body={"text": text})
        return render.understood(answer, now), render.results(answer, {"text": text}, now)

    return await answered(request, Permission.SEARCH_RECEIPTS, work, parts=2, fails_in=1)


async def search_fields(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Find receipts by single fields."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        fields = asked(event, Fields)
        answer = await api.post(SearchAnswer, "/search/fuzzy/", body=fields.body())
        told = fields.model_dump(mode="json", exclude_none=True, exclude={"kind"})
        return Markup(), render.results(answer, {"fields": told}, datetime.now(UTC))

    return await answered(request, Permission.SEARCH_RECEIPTS, work, parts=2, fails_in=1)


async def more(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Return the next page of a list."""

    async def work(api: Calls, _: Session) -> tuple[Markup, ...]:
        wanted = asked(event, More)
        if wanted.fields is not None:
            body = wanted.fields.body() | {"cursor": wanted.cursor}
            answer = await api.post(SearchAnswer, "/search/fuzzy/", body=body)
            question: dict[str, object] = {"fields": wanted.fields.model_dump(mode="json", exclude_none=True)}
        else:
            answer = await api.post(SearchAnswer, "/search/", body={"text": wanted.text, "cursor": wanted.cursor})
            question = {"text": wanted.text}
        return (render.more(answer, question, wanted.cursor, wanted.shown),)

    return await answered(request, Permission.SEARCH_RECEIPTS, work, parts=1)


def _looks_like_a_number(text: str) -> bool:
    """Say whether someone typed or scanned a receipt number, perhaps with a misread digit or one too few."""
    bare = text.replace("-", "").replace("–", "").replace(" ", "")
    return bare.isascii() and bare.isdigit() and len(bare) >= DIGITS - 4
