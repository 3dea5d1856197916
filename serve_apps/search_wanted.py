"""What a search looks for, typed, before it meets the database, and how it is loosened when nothing fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from serve_apps.search_products import Products, Term
from serve_apps.understanding.query import RELAXABLE, Cents, Days, Kind

DATE_TOLERANCE_DAYS = 2
AMOUNT_TOLERANCE_CENTS = 1_000
_WIDE_DAYS = 14
_WIDE_CENTS = 3_000


_GIVEN_UP = {
    Kind.AMOUNT: ("cents", "Nothing near that amount: looked at any amount."),
    Kind.STORE: ("stores", "Nothing at that store: looked in all stores."),
    Kind.DATE: ("days", "Nothing near that date: looked at any date."),
}


@dataclass(frozen=True, slots=True)
class Likely:
    """Ids that a name may mean, each with its likeness of 0 to 1."""

    ids: tuple[str | int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Roll:
    """What a till's roll says of a receipt, both ends included; times are HH:MM of the store's clock."""

    register_id: int | None = None
    operator_id: str | None = None
    number_from: int | None = None
    number_to: int | None = None
    time_from: str | None = None
    time_to: str | None = None

    @property
    def tells(self) -> bool:
        """Say whether receipts can be found by it alone: registers and numbers are the same in every store."""
        return any(value is not None for value in (self.operator_id, self.time_from, self.time_to))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Constraints; None is not asked for. Tolerances widen what is found and lower its rank.

    `products` are those that answer the `terms`; a receipt that holds one of the SKUs in `without` is not found.
    `tenders` only rank: who paid may remember it wrongly. What the `roll` says is exact and never given up.
    """

    receipt_id: str | None = None
    stores: Likely | None = None
    days: Days | None = None
    date_tolerance_days: int = DATE_TOLERANCE_DAYS
    cents: Cents | None = None
    amount_tolerance_cents: int = AMOUNT_TOLERANCE_CENTS
    customers: Likely | None = None
    by_contact: bool = False  # whether they are meant by e-mail address or telephone number
    card_last4: str | None = None
    tenders: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    products: Products | None = None
    without: tuple[str, ...] = ()
    roll: Roll = Roll()

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is asked for that a receipt can be found by."""
        asked = (self.receipt_id, self.stores, self.days, self.cents, self.customers, self.card_last4)
        return not (self.terms or self.tenders or self.roll.tells) and all(value is None for value in asked)

    def parameters(self) -> dict[str, object]:
        """Return the parameters of the statement `search_receipts`."""
        return {
            "receipt_id": self.receipt_id,
            "store_ids": list(self.stores.ids) if self.stores else None,
            "store_scores": list(self.stores.scores) if self.stores else None,
            "date_from": self.days.first if self.days else None,
            "date_to": self.days.last if self.days else None,
            "date_tolerance": self.date_tolerance_days,
            "low": self.cents.low if self.cents else None,
            "high": self.cents.high if self.cents else None,
            "amount_tolerance": self.amount_tolerance_cents,
            "customer_ids": list(self.customers.ids) if self.customers else None,
            "customer_scores": list(self.customers.scores) if self.customers else None,
            "card": self.card_last4,
            "tenders": list(self.tenders) or None,
            "skus": self.products.skus if self.products else None,
            "terms": self.products.terms if self.products else None,
            "similarities": self.products.similarities if self.products else None,
            "literals": self.products.literals if self.products else None,
            "phrases": len(self.terms),
            "without": list(self.without) or None,
            **asdict(self.roll),
        }

    def constraints(self) -> dict[str, object]:
        """Return what the audit trail may say of it: typed values, no names and no words."""
        said: dict[str, object] = {
            "store_ids": list(self.stores.ids) if self.stores else None,
            "date_from": self.days.first if self.days else None,
            "date_to": self.days.last if self.days else None,
            "amount_min_cents": self.cents.low if self.cents else None,
            "amount_max_cents": self.cents.high if self.cents else None,
            "by_card": self.card_last4 is not None or None,
            "by_customer": self.customers is not None or None,
            "tenders": list(self.tenders) or None,
            "by_contact": self.by_contact or None,
            "product_terms": len(self.terms) or None,
            "by_operator": self.roll.operator_id is not None or None,  # what was typed may be a name
        }
        said |= {key: value for key, value in asdict(self.roll).items() if key != "operator_id"}
        return {key: value for key, value in said.items() if value is not None}


def loosened(wanted: Wanted) -> Iterator[tuple[Wanted, str]]:
    """Yield ever looser searches with the sentence that says what was given up, each on top of the one before.

    A receipt id, a card and a customer are never given up: other people's receipts are no answer to them.
    """
    if wanted.receipt_id is not None:
        return
    if wanted.days is not None and wanted.date_tolerance_days < _WIDE_DAYS:
        before = wanted.date_tolerance_days
        wanted = replace(wanted, date_tolerance_days=_WIDE_DAYS)
        yield wanted, f"Nothing within {before} days of the date: looked {_WIDE_DAYS} days around it."
    if wanted.cents is not None and wanted.amount_tolerance_cents < _WIDE_CENTS:
        before = wanted.amount_tolerance_cents // 100
        wanted = replace(wanted, amount_tolerance_cents=_WIDE_CENTS)
        yield wanted, f"Nothing within ${before} of the amount: looked ${_WIDE_CENTS // 100} around it."
    for field, sentence in map(_GIVEN_UP.__getitem__, RELAXABLE):
        if getattr(wanted, field) is not None:
            wanted = replace(wanted, **{field: None})
            if wanted.is_empty:
                return
            yield wanted, sentence
