"""A sentence becomes a query: identifiers, dates, amounts, people, stores, and what is left are products."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from serve_apps.understanding.amounts import find_cents
from serve_apps.understanding.dates import find_days
from serve_apps.understanding.identifiers import find_identifiers
from serve_apps.understanding.near_words import NearWords
from serve_apps.understanding.people import find_person
from serve_apps.understanding.product_terms import find_products, name_alone
from serve_apps.understanding.query import Mention, Query
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.stores import Gazetteer, StoreMatch, find_store
from serve_apps.understanding.tenders import find_tenders
from serve_apps.understanding.word_lists import retail_words


@dataclass(frozen=True)  # no slots: a cached property needs the dictionary
class Knowledge:
    """What the parser knows of the shops: their names, and the words of their catalogue (None: any word may be one)."""

    stores: Gazetteer
    vocabulary: frozenset[str] | None = None

    @cached_property
    def things(self) -> frozenset[str]:
        """Return every word that goods are called by."""
        return retail_words() | (self.vocabulary or frozenset())

    @cached_property
    def spelling(self) -> NearWords:
        """Return what may have been meant by a misspelt word."""
        return NearWords(self.things)

    @cached_property
    def things_and_stores(self) -> frozenset[str]:
        """Return every word that goods or stores are called by."""
        return self.things | self.stores.words


def parse(text: str, today: date, known: Knowledge) -> Query:
    """Return what a sentence asks for, dates seen from `today`; the same input gives the same query.

    Each step covers what it understood, so the order matters: a receipt id is no amount, Mrs. Robinson is no store.
    """
    slate = Slate.of(text)
    identifiers, slate = find_identifiers(slate)
    days, day_mention, slate = find_days(slate, today)
    cents, cents_mention, slate = find_cents(slate)
    tenders, tender_mentions, slate = find_tenders(slate)
    name, store, mentions, slate = _who_and_where(slate, known)
    products = find_products(slate, None if known.vocabulary is None else known.things, known.spelling)
    others = (*identifiers.mentions, day_mention, cents_mention, *mentions, *tender_mentions)
    if known.vocabulary is not None and not products.mentions and not any(others):
        products = name_alone(slate, known.vocabulary)
    return Query(
        receipt_id=identifiers.receipt_id,
        card_last4=identifiers.card_last4,
        customer_id=identifiers.customer_id,
        customer_name=name,
        email=identifiers.email,
        phone=identifiers.phone,
        days=days,
        cents=cents,
        store_ids=store.store_ids if store else (),
        store_name=store.name if store else None,
        product_terms=products.terms,
        quantities=products.quantities,
        without_terms=products.without,
        tenders=tenders,
        mentions=_in_order(*others, *products.mentions),
        notes=identifiers.notes,
    )


def _who_and_where(
    slate: Slate, known: Knowledge
) -> tuple[str | None, StoreMatch | None, tuple[Mention | None, ...], Slate]:
    name, name_mention, slate = find_person(slate, known.things_and_stores, known.stores.has)
    store, store_mention, slate = find_store(slate, known.stores, retail_words())
    if name is None:
        # "Robinson" alone was a store; what was hidden behind it may be a person after all.
        name, name_mention, slate = find_person(slate, known.things, known.stores.has)
    return name, store, (name_mention, store_mention), slate


def _in_order(*mentions: Mention | None) -> tuple[Mention, ...]:
    """Return what was understood in the order of the sentence."""
    return tuple(sorted((mention for mention in mentions if mention is not None), key=lambda mention: mention.span))
