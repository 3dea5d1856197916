"""Receipts by a sentence: parsed by a grammar, its products found by meaning and by word."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request

from configs.settings import Settings
from receipts.access import Permission
from receipts.embedding import Embedder
from receipts.errors import InvalidInput
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.search_answering import Page, Search, answer_search, customers_wanted
from serve_apps.search_answers import SearchAnswer, understood
from serve_apps.search_knowledge import ShopKnowledge, Shops, knowing_shops
from serve_apps.search_wanted import Likely, Term, Wanted
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.understanding.parser import parse
from serve_apps.understanding.query import Query

_REMEMBERED = 2_048  # phrases; people ask for milk all day, and a vector is 3 KB
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


class QueryVectors:
    """Vectors of what is asked, computed in a thread of their own and remembered, so that the loop never waits."""

    def __init__(self, embedder: Embedder, remembered: int = _REMEMBERED) -> None:
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")  # the tokenizer keeps state: one thread
        self._vectors: OrderedDict[str, str] = OrderedDict()
        self._remembered = remembered

    async def warm(self) -> None:
        """Read the model's weights."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._embedder.warm)

    async def of(self, phrases: Sequence[str]) -> list[str]:
        """Return the vectors of phrases as pgvector reads them, in one batch for those not remembered."""
        missing = sorted({phrase for phrase in phrases if phrase not in self._vectors})
        if missing:
            vectors = await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._embed, missing))
            self._vectors.update(zip(missing, vectors, strict=True))
        answer = [self._vectors[phrase] for phrase in phrases]
        for phrase in phrases:
            self._vectors.move_to_end(phrase)
        while len(self._vectors) > self._remembered:
            self._vectors.popitem(last=False)
        return answer

    def close(self) -> None:
        """Let the thread end; what it is computing is finished first."""
        self._thread.shutdown()

    def _embed(self, phrases: list[str]) -> list[str]:
        return [f"[{','.join(f'{x:.5f}' for x in vector)}]" for vector in self._embedder.encode(phrases)]


def _vectors(request: Request) -> QueryVectors:
    return request.app.state.vectors


Vectors = Annotated[QueryVectors, Depends(_vectors)]


@router.post("/")
async def semantic(
    question: Question, caller: Searcher, serving: Serving, shops: Shops, vectors: Vectors
) -> SearchAnswer:
    """Return the receipts that a sentence describes, the best first, with what was understood of it."""
    today = question.today or datetime.now(UTC).astimezone(_HOME).date()
    page = Page.of(f"{today}\x1f{question.text}", question.limit, question.cursor)
    query = parse(question.text, today, await shops.current())
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
    customers, notes = await customers_wanted(context, caller.principal, query.customer_name, query.customer_id)
    corrected = [shops.corrected(term) for term in query.product_terms]
    embedded = await vectors.of(corrected)
    terms = zip(query.product_terms, corrected, embedded, strict=True)
    return (
        Wanted(
            stores=Likely(query.store_ids, (1.0,) * len(query.store_ids)) if query.store_ids else None,
            days=query.days,
            cents=query.cents,
            customers=customers,
            card_last4=query.card_last4,
            terms=tuple(Term(*term) for term in terms),
        ),
        notes,
    )


def build_app(settings: Settings, *, embedding_threads: int = 1) -> FastAPI:
    """Return the sentence search application. One thread embeds: replicas share the machine's cores."""
    context = serving_context(settings)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(knowing_shops(context)(app))
            app.state.vectors = QueryVectors(Embedder(threads=embedding_threads))
            stack.callback(app.state.vectors.close)
            await app.state.vectors.warm()
            yield

    return build_api("Receipt search by sentence", context, [router], lifespan=life)
