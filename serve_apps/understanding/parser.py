"""A sentence becomes a query: identifiers, dates, amounts, people, stores, and what is left are products."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from receipts.products import shopping_words
from serve_apps.understanding.amounts import find_cents
from serve_apps.understanding.dates import find_days
from serve_apps.understanding.identifiers import find_identifiers
from serve_apps.understanding.people import find_person
from serve_apps.understanding.product_terms import find_products
from serve_apps.understanding.query import Mention, Query
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.stores import Gazetteer, find_store


@dataclass(frozen=True)  # no slots: a cached property needs the dictionary
class Knowledge:
    """What the parser knows of the shops: their names, and the words of their catalogue (None: any word may be one)."""

    stores: Gazetteer
    vocabulary: frozenset[str] | None = None

    @cached_property
    def things(self) -> frozenset[str]:
        """Return every word that goods are called by."""
        return shopping_words() | (self.vocabulary or frozenset())

    @cached_property
    def things_and_stores(self) -> frozenset[str]:
        """Return every word that goods or stores are called by."""
        return self.things | self.stores.words


def parse(text: str, today: date, known: Knowledge) -> Query:
    """Return what a sentence asks for, dates seen from `today`; the same input gives the same query.

    Each step covers what it understood, so the order matters: a receipt id is no amount, 10/21 is no price,
    Mrs. Robinson is no store, and cranberry juice is no place.
    """
    slate = Slate.of(text)
    identifiers, slate = find_identifiers(slate)
    days, day_mention, slate = find_days(slate, today)
    cents, cents_mention, slate = find_cents(slate)
    things = known.things
    name, name_mention, slate = find_person(slate, known.things_and_stores)
    store, store_mention, slate = find_store(slate, known.stores, shopping_words())
    if name is None:
        # "Robinson" alone was a store; what was hidden behind it may be a person after all.
        name, name_mention, slate = find_person(slate, things)
    vocabulary = None if known.vocabulary is None else things
    terms, term_mentions = find_products(slate, vocabulary)
    several: list[Mention | None] = [
        *identifiers.mentions,
        day_mention,
        cents_mention,
        name_mention,
        store_mention,
        *term_mentions,
    ]
    mentions = sorted((mention for mention in several if mention is not None), key=lambda mention: mention.span)
    return Query(
        receipt_id=identifiers.receipt_id,
        card_last4=identifiers.card_last4,
        customer_id=identifiers.customer_id,
        customer_name=name,
        days=days,
        cents=cents,
        store_ids=store.store_ids if store else (),
        store_name=store.name if store else None,
        product_terms=terms,
        mentions=tuple(mentions),
        notes=identifiers.notes,
    )
