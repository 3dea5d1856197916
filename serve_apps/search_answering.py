"""From a typed search to its answer: found, put on record for the audit trail, and told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from receipts.access import Principal
from serve_apps.exchange import Caller
from serve_apps.search_answers import Place, SearchAnswer, Understood, encode_place, parse_place
from serve_apps.search_engine import Found, search_receipts
from serve_apps.search_people import LIKE_ENOUGH, search_customers, search_customers_by_contact
from serve_apps.search_wanted import Likely, Wanted
from serve_apps.serving import ServingContext

_NOBODY = "No customer of your regions is called like that"
_NO_CONTACT = "No customer of your regions has that e-mail address or telephone number."


class Person(NamedTuple):
    """Whose receipt is looked for: the first of these that is given decides."""

    customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None

    @property
    def by_contact(self) -> bool:
        """Say whether an e-mail address or a telephone number decides."""
        return self.customer_id is None and (self.email is not None or self.phone is not None)


@dataclass(frozen=True, slots=True)
class Page:
    """The part of the answers that is asked for. `question` is what its cursors belong to."""

    question: str
    limit: int
    after: Place
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
    caller.record(constraints=search.wanted.constraints() | {"limit": page.limit, "first_page": page.after == Place()})
    found = Found()
    if not search.wanted.is_empty:
        found = await search_receipts(context, caller.principal, search.wanted, page.limit, page.after)
    caller.record(
        receipt_ids=[hit.receipt.receipt_id for hit in found.hits],
        customer_ids=[hit.receipt.customer_id for hit in found.hits if hit.receipt.customer_id],
    )
    return SearchAnswer(
        hits=list(found.hits),
        understood=list(search.understood),
        relaxations=[*search.notes, *found.relaxations],
        searched_from=found.searched_from,
        next_cursor=encode_place(found.next_place, page.question) if found.next_place is not None else None,
        took_ms=round((time.perf_counter() - page.started) * 1_000, 2),
    )


async def customers_wanted(
    context: ServingContext, principal: Principal, person: Person
) -> tuple[Likely | None, list[str]]:
    """Return the customers that are meant, and what has to be said about it; None where nobody is.

    A name that nobody in the scope bears is left out, because receipts without a loyalty number bear none either. An
    address or a number is not: other people's receipts are no answer to it.
    """
    if person.customer_id is not None:
        return Likely((person.customer_id,), (1.0,)), []
    if person.by_contact:
        found = await search_customers_by_contact(context, principal, email=person.email, phone=person.phone)
        return found, [] if found.ids else [_NO_CONTACT]
    if person.name is None:
        return None, []
    customers = await search_customers(context, principal, person.name)
    if not customers.ids:
        return None, [f"{_NOBODY}: left the name out."]
    return customers, [f"{_NOBODY}: took those who share a rare name with it."] * (max(customers.scores) < LIKE_ENOUGH)
