"""How many labelled sentences the parser understands, scored field by field.

A labelled sentence is a JSON object with `id`, `query` and `expected`: the store's name, `date_from` and `date_to`,
`amount_min` and `amount_max` in dollars, `product_terms`, `card_last4` and `customer_name`, null where it says nothing.
Strict scoring asks for equality. Lenient scoring forgives what the search itself forgives: two days, ten dollars, a
filler word or a plural of a product.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from receipts.errors import InvalidInput
from serve_apps.understanding.parser import Knowledge, parse
from serve_apps.understanding.query import Query, StoreNames
from serve_apps.understanding.stores import gazetteer

TODAY = date(2026, 11, 23)  # the Monday that the project's own sentences were written on
FIELDS = ("store", "date", "amount", "product", "card", "name")
_DAYS, _DOLLARS, _ALIKE = 2, 10.01, 0.8  # what lenient scoring forgives
_NARROW_DAYS, _NARROW_DOLLARS, _OVERLAP = 4, 20.01, 0.6
_LONG_AGO = timedelta(days=400)  # where an open range begins, to compare it
_CENT = 0.011
_TURNS = 3  # the fastest counts: what else the machine does is not the parser's
_FILLER = frozenset(
    (
        "a", "an", "the", "of", "some", "kind", "and", "with", "few", "bunch", "dozen", "pack", "gallon", "gallons",
        "lb", "oz", "bag", "stuff", "item", "thing", "order", "something", "anything", "my",
    )
)  # fmt: skip
_TITLES = frozenset(("mr", "mrs", "ms", "dr", "miss"))


@dataclass(frozen=True, slots=True)
class Sentence:
    """What was typed and what it means."""

    id: str
    query: str
    expected: dict[str, Any]


@dataclass(slots=True)
class Understanding:
    """What came of a set: sentences with every field right, by field, how long each took, and which were not right."""

    sentences: int = 0
    strict: int = 0
    lenient: int = 0
    by_field: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    milliseconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def p95_ms(self) -> float:
        """Return how long all but one in twenty took at most."""
        ordered = sorted(self.milliseconds)
        return ordered[int(0.95 * len(ordered))]


def own_sentences() -> list[Sentence]:
    """Return the project's labelled sentences, seen from TODAY, about the shops of the demonstration."""
    return _sentences(
        resources.files("cluster.evaluations").joinpath("sentences.jsonl").read_text("utf-8"), "sentences"
    )


def read_sentences(path: Path) -> list[Sentence]:
    """Read a file of labelled sentences. Raises InvalidInput that says which line is none."""
    return _sentences(_text(path), str(path))


def read_stores(path: Path) -> list[StoreNames]:
    """Read a JSON array of stores: `id`, `name` and maybe `aliases`. Raises InvalidInput."""
    try:
        return [StoreNames(int(s["id"]), str(s["name"]), tuple(s.get("aliases", ()))) for s in json.loads(_text(path))]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(str(path), "expected a JSON array of objects with id, name and aliases") from error


def understand(sentences: Sequence[Sentence], known: Knowledge, today: date = TODAY) -> Understanding:
    """Parse each sentence and score it."""
    seen = Understanding()
    parse("warm", today, known)
    for one in sentences:
        query = parse(one.query, today, known)
        seen.milliseconds.append(min(_parse_ms(one.query, known, today) for _ in range(_TURNS)))
        scores = score(one.expected, query, today)
        seen.sentences += 1
        seen.strict += all(strict for strict, _ in scores.values())
        wrong = [name for name, (_, lenient) in scores.items() if not lenient]
        for name in FIELDS:
            seen.by_field[name] += name not in wrong
        if wrong:
            seen.wrong.append(f"{one.id} ({', '.join(wrong)})")
        else:
            seen.lenient += 1
    return seen


def _parse_ms(text: str, known: Knowledge, today: date) -> float:
    started = time.perf_counter()
    parse(text, today, known)
    return (time.perf_counter() - started) * 1_000


def knowing(stores: Sequence[StoreNames]) -> Knowledge:
    """Return what a parser knows that knows these stores and no catalogue."""
    return Knowledge(gazetteer(stores))


def score(expected: dict[str, Any], query: Query, today: date) -> dict[str, tuple[bool, bool]]:
    """Return for each field whether it is right strictly and leniently."""
    store, card = expected["store"] == query.store_name, expected["card_last4"] == query.card_last4
    name = _name(expected["customer_name"]) == _name(query.customer_name)
    wanted, got = _words(expected["product_terms"]), _words(query.product_terms)
    alike = 1.0 if wanted == got else 2 * len(wanted & got) / max(len(wanted) + len(got), 1)
    return {
        "store": (store, store),
        "date": _dates(expected, query, today),
        "amount": _amounts(expected, query),
        "product": (wanted == got, alike >= _ALIKE),
        "card": (card, card),
        "name": (name, name),
    }


def _dates(expected: dict[str, Any], query: Query, today: date) -> tuple[bool, bool]:
    wanted = tuple(date.fromisoformat(day) if day else None for day in (expected["date_from"], expected["date_to"]))
    got = (query.days.first, query.days.last) if query.days else (None, None)
    if wanted == got:
        return True, True
    if not any(wanted) or not any(got):
        return False, False
    first, last = wanted[0] or today - _LONG_AGO, wanted[1] or today
    low, high = got[0] or today - _LONG_AGO, got[1] or today
    around = low <= first and high >= last and (first - low).days <= _DAYS and (high - last).days <= _DAYS
    middle = first + (last - first) // 2
    inside = (last - first).days <= _NARROW_DAYS and first <= low <= middle <= high <= last
    shared = (min(last, high) - max(first, low)).days + 1
    either = (max(last, high) - min(first, low)).days + 1
    return False, around or inside or (shared > 0 and shared / either >= _OVERLAP)


def _amounts(expected: dict[str, Any], query: Query) -> tuple[bool, bool]:
    least, most = expected["amount_min"] or None, expected["amount_max"]
    low, high = (
        (
            query.cents.low / 100 if query.cents.low else None,
            query.cents.high / 100 if query.cents.high is not None else None,
        )
        if query.cents
        else (None, None)
    )
    if _same(least, low) and _same(most, high):
        return True, True
    if (least is None) != (low is None) or (most is None) != (high is None):
        return False, False
    below = least is None or low is None or (low <= least + _CENT and least - low <= _DOLLARS)
    above = most is None or high is None or (high >= most - _CENT and high - most <= _DOLLARS)
    if below and above:
        return False, True
    if least is None or most is None or low is None or high is None or most - least > _NARROW_DOLLARS:
        return False, False
    return False, least - _CENT <= low <= (least + most) / 2 <= high <= most + _CENT


def _same(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else abs(one - other) < _CENT


def _words(terms: Sequence[str] | None) -> set[str]:
    every = (word for term in terms or () for word in re.findall(r"[a-z0-9%]+", term.lower()))
    return {re.sub(r"(?<=\w\w\w)s$", "", word) for word in every if word not in _FILLER and not word.isdigit()}


def _name(name: str | None) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", (name or "").lower()) if word not in _TITLES]


def _sentences(text: str, where: str) -> list[Sentence]:
    found: list[Sentence] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(Sentence(str(row["id"]), str(row["query"]), dict(row["expected"])))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{where}, line {number}", "expected an object with id, query and expected") from error
    if not found:
        raise InvalidInput(where, "holds no sentence")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"cannot be read: {error}") from error
