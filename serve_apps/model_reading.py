"""A sentence read once more by a language model: it points at words, the parser's own code says what they mean.

The model copies out stretches of the sentence; what it did not copy letter for letter is dropped. Days, amounts and
stores are resolved by the grammars that read the sentence first, and only where these found none: where they speak they
are surer than any model. What is left to the model is what they guess at: which words are goods, and who is a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import orjson

from configs.language_model import ReadingSettings
from serve_apps.language_model import LanguageModel
from serve_apps.understanding.amounts import find_cents
from serve_apps.understanding.dates import find_days
from serve_apps.understanding.parser import Knowledge
from serve_apps.understanding.query import Kind, Mention, Query
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.stores import match_store

_ORDER = (
    "A retail representative typed a sentence to find a receipt. Copy out of it, letter for letter, what it says. "
    'Answer with one JSON object and nothing else: {"products": [], "not_bought": [], "person": null, "store": null, '
    '"date": null, "amount": null}. products are the goods that were bought, without quantities and packaging; '
    "not_bought are goods that it says were not bought; the others are one string or null."
)
_TOKENS = 300
_SURE = 0.9  # what the parser understood at least so surely is not asked about again
_OPEN = {Kind.PRODUCT, Kind.WITHOUT, Kind.CUSTOMER}
_HIDDEN = {Kind.RECEIPT, Kind.CARD}  # with what identifies a customer
_CONFIDENCE = 0.8
_ALIKE = 86.0  # of a store's name, as without a cue in a sentence
_AS_DAY = ("{}", "on {}", "in {}")  # what is known to be a day is read more readily: may
_LONGEST = 100  # characters of a phrase
_MOST_TERMS = 8


class ModelReader:
    """Reads sentences that the parser was not sure of; without a language model it leaves all as it is."""

    def __init__(self, settings: ReadingSettings) -> None:
        self._model = LanguageModel(settings)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._model.aclose()

    async def read(self, text: str, query: Query, today: date, known: Knowledge) -> Query:
        """Return the query with what a model adds to it, or as it is when there is no model, or nothing to ask."""
        if not self._model.is_there or all(mention.confidence >= _SURE for mention in query.mentions):
            return query
        told = _without_identifiers(text, query)
        written = await self._model.ask(_ORDER, told, _TOKENS)
        read = _parsed(written)
        return query if read is None else merged(Slate.of(told), query, read, today, known)


def merged(slate: Slate, query: Query, read: dict[str, Any], today: date, known: Knowledge) -> Query:
    """Return the query with what a model pointed at, checked against the sentence and what was understood of it."""
    kept = [mention for mention in query.mentions if mention.kind not in _OPEN or mention.confidence >= _SURE]
    query, kept = _closed(slate, query, read, today, known, kept)
    if query.customer_name is None and (span := _place(slate, read.get("person"), kept)):
        said = slate.said(*span)
        kept.append(Mention(Kind.CUSTOMER, said, said, span, _CONFIDENCE))
        query = replace(query, customer_name=said)
    bought = _phrases(slate, read.get("products"), Kind.PRODUCT, kept)
    without = _phrases(slate, read.get("not_bought"), Kind.WITHOUT, [*kept, *bought])
    every = sorted((*kept, *bought, *without), key=lambda mention: mention.span)
    terms = [mention.value for mention in every if mention.kind is Kind.PRODUCT][:_MOST_TERMS]
    counts = dict(zip(query.product_terms, query.quantities, strict=True))
    return replace(
        query,
        product_terms=tuple(terms),
        quantities=tuple(counts.get(term) for term in terms),
        without_terms=tuple(mention.value for mention in every if mention.kind is Kind.WITHOUT)[:_MOST_TERMS],
        mentions=tuple(every),
    )


def _closed(
    slate: Slate, query: Query, read: dict[str, Any], today: date, known: Knowledge, kept: list[Mention]
) -> tuple[Query, list[Mention]]:
    """Add days, amount and store where the parser found none and its own code reads them in what was pointed at."""
    kept = list(kept)
    if query.days is None and (span := _place(slate, read.get("date"), kept)):
        tries = (find_days(Slate.of(form.format(slate.said(*span))), today) for form in _AS_DAY)
        for days, mention in ((days, mention) for days, mention, _ in tries if mention is not None):
            kept.append(replace(mention, text=slate.said(*span), span=span, confidence=_CONFIDENCE))
            query = replace(query, days=days)
            break
    if query.cents is None and (span := _place(slate, read.get("amount"), kept)):
        cents, mention, _ = find_cents(Slate.of(f"total {slate.said(*span)}"))
        if mention is not None:
            kept.append(replace(mention, text=slate.said(*span), span=span, confidence=_CONFIDENCE))
            query = replace(query, cents=cents)
    if not query.store_ids and (span := _place(slate, read.get("store"), kept)):
        match = match_store(slate.said(*span), known.stores, _ALIKE)
        if match is not None:
            kept.append(Mention(Kind.STORE, slate.said(*span), match.name, span, min(match.score, _CONFIDENCE)))
            query = replace(query, store_ids=match.store_ids, store_name=match.name)
    return query, kept


def _phrases(slate: Slate, said: object, kind: Kind, taken: Iterable[Mention]) -> list[Mention]:
    """Return mentions of the phrases that stand in the sentence, each once, none where something else stands."""
    found: list[Mention] = []
    for phrase in said if isinstance(said, list) else []:
        if span := _place(slate, phrase, [*taken, *found]):
            found.append(Mention(kind, slate.said(*span), slate.left[slice(*span)], span, _CONFIDENCE))
    return found


def _place(slate: Slate, phrase: object, taken: Iterable[Mention]) -> tuple[int, int] | None:
    """Return where a phrase stands in the sentence, or None when it does not, or something else stands there."""
    if not isinstance(phrase, str) or not phrase.strip() or len(phrase) > _LONGEST:
        return None
    plain = Slate.of(phrase.strip()).left
    start = slate.left.find(plain)
    span = start, start + len(plain)
    is_free = all(span[1] <= mention.span[0] or mention.span[1] <= span[0] for mention in taken)
    return span if start >= 0 and is_free else None


def _without_identifiers(text: str, query: Query) -> str:
    """Return the sentence, as long as it is, without what tells somebody apart: numbers, addresses, cards."""
    for mention in query.mentions:
        is_named = mention.kind is Kind.CUSTOMER and mention.value == query.customer_name
        if mention.kind not in _HIDDEN | {Kind.CUSTOMER} or is_named:
            continue
        start, end = mention.span
        text = text[:start] + "." * (end - start) + text[end:]
    return text


def _parsed(written: str | None) -> dict[str, Any] | None:
    """Return the object that the model wrote, maybe in a fence, or None."""
    start, end = (written or "").find("{"), (written or "").rfind("}")
    try:
        read = orjson.loads((written or "")[start : end + 1])
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None
