"""From a typed search to its answer: found, put on record for the audit trail, and told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from receipts.access import Principal
from serve_apps.exchange import Caller
from serve_apps.search_answers import SearchAnswer, Understood, encode_place, parse_place
from serve_apps.search_engine import Found, search_receipts
from serve_apps.search_people import search_customers
from serve_apps.search_wanted import Likely, Wanted
from serve_apps.serving import ServingContext

_NOBODY = "No customer of your regions is called like that"


@dataclass(frozen=True, slots=True)
class Page:
    """The part of the answers that is asked for. `question` is what its cursors belong to."""

    question: str
    limit: int
    offset: int
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, question: str, limit: int, cursor: str | None) -> Self:
        """Read a cursor. Raises InvalidInput when it is none, or another question's."""
        return cls(question, limit, parse_place(cursor, question))


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, what the question was taken for, and what has to be said about it already."""

    wanted: Wanted
    understood: tuple[Understood, ...] = ()
    notes: tuple[str, ...] = ()


async def answer_search(context: ServingContext, caller: Caller, search: Search, page: Page) -> SearchAnswer:
    """Return a page of receipts that fit. The audit trail gets typed constraints and ids, never words or names."""
    caller.record(constraints=search.wanted.constraints() | {"limit": page.limit, "offset": page.offset})
    found = Found((), (), None)
    if not search.wanted.is_empty:
        found = await search_receipts(context, caller.principal, search.wanted, page.limit, page.offset)
    caller.record(
        receipt_ids=[hit.receipt.receipt_id for hit in found.hits],
        customer_ids=[hit.receipt.customer_id for hit in found.hits if hit.receipt.customer_id],
    )
    return SearchAnswer(
        hits=list(found.hits),
        understood=list(search.understood),
        relaxations=[*search.notes, *found.relaxations],
        next_cursor=encode_place(found.next_offset, page.question) if found.next_offset is not None else None,
        took_ms=round((time.perf_counter() - page.started) * 1_000, 2),
    )


async def customers_wanted(
    context: ServingContext, principal: Principal, name: str | None, customer_id: str | None
) -> tuple[Likely | None, list[str]]:
    """Return the customers that an id or a name means, and what has to be said about it.

    A name that nobody in the scope bears is left out, because receipts without a loyalty number bear none either.
    """
    if customer_id is not None:
        return Likely((customer_id,), (1.0,)), []
    if name is None:
        return None, []
    customers = await search_customers(context, principal, name)
    return (customers, []) if customers.ids else (None, [f"{_NOBODY}: left the name out."])
