"""How a simulated rep chooses: popular receipts often, rare ones rarely, and words a shopper would use."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

from loadtest.targets import Target
from receipts.identity import MAX_REGISTER, MAX_SEQUENCE, natural_key
from receipts.identity import receipt_id as id_of
from receipts.money import format_cents
from receipts.text import normalise

T = TypeVar("T")
_NEVER_REACHED = MAX_SEQUENCE - 99_999  # a register that counts so far within a day does not exist


@dataclass(frozen=True, slots=True)
class Zipf(Generic[T]):
    """Chooses the k-th of its items with a probability proportional to 1 / k**exponent.

    0.8 is what request logs show (Breslau et al., "Web Caching and Zipf-like Distributions", 1999: 0.64 to 0.83):
    the receipts of the day are asked for again and again, and old ones still come.
    """

    items: Sequence[T]
    exponent: float = 0.8
    _steps: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("there is nothing to choose from")
        weights = (1 / rank**self.exponent for rank in range(1, len(self.items) + 1))
        object.__setattr__(self, "_steps", list(itertools.accumulate(weights)))

    def choose(self, source: random.Random) -> T:
        """Return one item."""
        return self.items[bisect_left(self._steps, source.random() * self._steps[-1])]


def misread(receipt_id: str, source: random.Random) -> str:
    """Return the id with one digit read wrongly: it must be refused."""
    at = source.randrange(len(receipt_id))
    wrong = (int(receipt_id[at]) + source.randint(1, 9)) % 10
    return f"{receipt_id[:at]}{wrong}{receipt_id[at + 1 :]}"


def absent(receipt_id: str, source: random.Random) -> str:
    """Return a valid id of the same store and day that belongs to no receipt."""
    number = source.randint(_NEVER_REACHED, MAX_SEQUENCE)
    return id_of(natural_key(receipt_id)._replace(register_id=MAX_REGISTER, sequence_number=number))


def describe(target: Target, source: random.Random) -> dict[str, object]:
    """Return a fuzzy search for a receipt as it is remembered: the store, about the day, about the amount."""
    off = source.choice((0, 0, 0, 1, -1, 250, -499))
    search: dict[str, object] = {
        "store": target.store_name,
        "date_from": target.purchased_on.isoformat(),
        "date_to": target.purchased_on.isoformat(),
        "amount_cents": abs(target.total_cents) + off
        if abs(target.total_cents) > abs(off)
        else abs(target.total_cents),
    }
    if words := _words(target.item):
        search["items"] = [words]
    return search


def phrase(target: Target, source: random.Random) -> str:
    """Return the same memory as a sentence."""
    item = _words(target.item) or "groceries"
    day = _spoken(target.purchased_on)
    amount = format_cents(abs(target.total_cents))
    return source.choice(
        (
            f"{item} from {target.store_name} on {day}",
            f"receipt for {amount} at {target.store_name} on {day}",
            f"{target.store_name} {day} about {amount}",
            f"customer bought {item} at {target.store_name} around {day}",
        )
    )


def _words(printed: str) -> str:
    """Return the first words of what the till printed: nobody says a whole abbreviation."""
    return " ".join(normalise(printed).split()[:2])


def _spoken(day: date) -> str:
    return f"{day:%B} {day.day}, {day.year}"
