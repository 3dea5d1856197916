"""Receipts by a sentence: parsed by a grammar, its products found by meaning and by word."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request

from configs.settings import Settings
from receipts.access import Permission
from receipts.errors import InvalidInput
from receipts.sentence_model import SentenceModel, model_folder
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.model_reading import ModelReader
from serve_apps.query_vectors import QueryVectors
from serve_apps.search_answering import Page, Person, Search, answer_search, customers_wanted
from serve_apps.search_answers import SearchAnswer, understood
from serve_apps.search_knowledge import ShopKnowledge, Shops, knowing_shops
from serve_apps.search_products import Term
from serve_apps.search_wanted import Likely, Wanted
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.understanding.parser import parse
from serve_apps.understanding.query import Query

_HOME = ZoneInfo("America/New_York")  # whose today it is when the caller does not say
_NOTHING = "Nothing to search by was understood: say what was bought, where, when, for how much or by whom."

router = APIRouter()
Searcher = Annotated[Caller, Depends(guard(Permission.SEARCH_RECEIPTS))]


class Question(BaseModel):
    """A sentence, as it was said or typed. `today` is the day that "yesterday" is seen from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    today: Annotated[date, Field(ge=date(2010, 1, 1), le=date(2099, 12, 31))] | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None


def _vectors(request: Request) -> QueryVectors:
    return request.app.state.vectors


Vectors = Annotated[QueryVectors, Depends(_vectors)]


def _reader(request: Request) -> ModelReader:
    return request.app.state.reader


Reader = Annotated[ModelReader, Depends(_reader)]


@router.post("/")
async def semantic(
    question: Question, caller: Searcher, serving: Serving, shops: Shops, vectors: Vectors, reader: Reader
) -> SearchAnswer:
    """Return the receipts that a sentence describes, the best first, with what was understood of it."""
    today = question.today or datetime.now(UTC).astimezone(_HOME).date()
    page = Page.of(f"{today}\x1f{question.text}", question.limit, question.cursor)
    known = await shops.current()
    query = await reader.read(question.text, parse(question.text, today, known), today, known)
    if query.is_empty:
        raise InvalidInput("text", " ".join(query.notes) or _NOTHING)
    wanted, notes = await _wanted(query, caller, serving, shops, vectors)
    mentions = tuple(understood(mention) for mention in query.mentions)
    return await answer_search(serving, caller, Search(wanted, mentions, (*query.notes, *notes)), page)


async def _wanted(
    query: Query, caller: Caller, context: ServingContext, shops: ShopKnowledge, vectors: QueryVectors
) -> tuple[Wanted, list[str]]:
    if query.receipt_id is not None:  # it says everything; the rest of the sentence could only hide it
        return Wanted(receipt_id=query.receipt_id), []
    person = Person(query.customer_id, query.email, query.phone, query.customer_name)
    customers, notes = await customers_wanted(context, caller.principal, person)
    corrected = [shops.corrected(term) for term in query.product_terms]
    embedded = await vectors.of(corrected)
    terms = [Term(*term) for term in zip(query.product_terms, corrected, embedded, query.quantities, strict=True)]
    without = [Term(term, shops.corrected(term)) for term in query.without_terms]
    return (
        Wanted(
            stores=Likely(query.store_ids, (1.0,) * len(query.store_ids)) if query.store_ids else None,
            days=query.days,
            cents=query.cents,
            customers=customers,
            by_contact=person.by_contact,
            card_last4=query.card_last4,
            tenders=query.tenders,
            terms=tuple(terms),
            products=await shops.products.of(terms) if terms else None,
            without=tuple(dict.fromkeys((await shops.products.of(without)).skus)) if without else (),
        ),
        notes,
    )


def build_app(settings: Settings) -> FastAPI:
    """Return the sentence search application."""
    context = serving_context(settings, application="semantic")

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(knowing_shops(context)(app))
            app.state.vectors = QueryVectors(SentenceModel(model_folder()))
            stack.callback(app.state.vectors.close)
            await app.state.vectors.warm()
            app.state.reader = await stack.enter_async_context(aclosing(ModelReader(settings.reading)))
            yield

    return build_api("Receipt search by sentence", context, [router], lifespan=life)
