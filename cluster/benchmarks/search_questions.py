"""Questions that a search is measured with: made from receipts that are there, as people half remember them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from psycopg.rows import args_row

from configs.settings import Settings
from receipts.database import DatabaseRole, connect
from receipts.products import expand
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "search")
_CONCEPTS = (
    "fancy cheese", "something for a headache", "cat food", "party snacks", "cleaning supplies", "baby things",
    "breakfast", "something sweet", "fresh fruit", "coffee", "frozen dinner", "barbecue meat",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_AMOUNT_CENTS = 300  # how far off people are


class Example(NamedTuple):
    """What is known of a receipt that somebody looks for."""

    store: str
    purchased_on: date
    total_cents: int
    first_name: str
    last_name: str
    card: str
    product: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Bodies by route: half-remembered fields, a phrase for products, a whole sentence; and the fields for the peer."""

    fuzzy: Sequence[dict[str, object]]
    semantic: Sequence[dict[str, object]]
    sentence: Sequence[dict[str, object]]
    peer: Sequence[dict[str, object]]


def examples(settings: Settings, rows: int, first: date, last: date) -> list[Example]:
    """Return receipts of customers bought in a time, the same in every run."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        asked = {"rows": rows, "first": first, "last": last}
        return connection.cursor(row_factory=args_row(Example)).execute(_SQL["list_examples"], asked).fetchall()


def questions(known: Sequence[Example], today: date, seed: int = 1) -> Questions:
    """Return questions of every kind for each receipt."""
    rng = random.Random(seed)  # noqa: S311  the same questions in every run
    fields = [_fields(one, number % 6, rng) for number, one in enumerate(known)]
    phrases = [_CONCEPTS[i % len(_CONCEPTS)] if i % 2 else _words(one.product) for i, one in enumerate(known)]
    sentences = [_sentence(one, number % 4, rng) for number, one in enumerate(known)]
    return Questions(
        fuzzy=fields,
        semantic=[{"text": phrase, "today": today.isoformat()} for phrase in phrases],
        sentence=[{"text": sentence, "today": today.isoformat()} for sentence in sentences],
        peer=[_for_peer(each) for each in fields],
    )


def _fields(one: Example, kind: int, rng: random.Random) -> dict[str, object]:
    day = one.purchased_on + timedelta(days=rng.randint(-1, 1))
    days: dict[str, object] = {"date_from": day.isoformat(), "date_to": day.isoformat()}
    amount: dict[str, object] = {"amount_cents": one.total_cents + rng.randint(-_AMOUNT_CENTS, _AMOUNT_CENTS)}
    name: dict[str, object] = {"customer_name": f"{one.first_name} {_slip(one.last_name, rng)}"}
    store: dict[str, object] = {"store": _slip(one.store, rng)}
    week: dict[str, object] = {
        "date_from": (day - timedelta(days=3)).isoformat(),
        "date_to": (day + timedelta(days=3)).isoformat(),
    }
    item: dict[str, object] = {"items": [_words(one.product)]}
    card: dict[str, object] = {"card_last4": one.card} if one.card else {}
    chosen = (store | days | amount, name | store, item | store | week, card | days, amount | days, item)
    return chosen[kind]


def _sentence(one: Example, kind: int, rng: random.Random) -> str:
    day = f"{one.purchased_on:%B} {one.purchased_on.day}"
    dollars = round(one.total_cents / 100)
    forms = (
        f"{_words(one.product)} from {one.store} on {day}",
        f"{one.first_name} {one.last_name}, around ${dollars}, {_slip(one.store, rng)}",
        f"some kind of {_CONCEPTS[dollars % len(_CONCEPTS)]} at {one.store}",
        f"lost receipt, {one.purchased_on:%m/%d}, about {dollars} dollars, {_words(one.product)}",
    )
    return forms[kind]


def _for_peer(asked: dict[str, object]) -> dict[str, object]:
    """Return the same for a search by trigrams; tolerances are written out, an item is one of its words."""
    amount = asked.get("amount_cents")
    items = asked.get("items")
    first, last = asked.get("date_from"), asked.get("date_to")
    word = max(str(items[0]).split(), key=len) if isinstance(items, list) else None
    return {
        "store": asked.get("store"),
        "customer": asked.get("customer_name"),
        "first": None if first is None else date.fromisoformat(str(first)) - timedelta(days=2),
        "last": None if last is None else date.fromisoformat(str(last)) + timedelta(days=2),
        "low": amount - 1_000 if isinstance(amount, int) else None,
        "high": amount + 1_000 if isinstance(amount, int) else None,
        "card": asked.get("card_last4"),
        "item": None if word is None else f"%{word}%",
    }


def _words(description: str) -> str:
    """Return how somebody says what a till prints: three words, without its size ("no sugar" alone is no product)."""
    return " ".join([word for word in expand(description).split() if word.isalpha()][:3]) or "milk"


def _slip(name: str, rng: random.Random) -> str:
    """Return a name with one letter wrong."""
    at = rng.randrange(len(name))
    return name[:at] + rng.choice(_LETTERS) + name[at + 1 :]
