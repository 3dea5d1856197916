"""Who bought what: customers, kinds of receipt and lines, each a function of the receipt's number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest.sources.mixing import Fractions, Indices, Words, fraction, mix, pick, pick_weighted, rising_sum
from ingest.sources.rendering import goods
from ingest.sources.synthetic.catalogue import catalogue, popularity_by_month, usual_popularity
from ingest.sources.synthetic.plan import FIRST_CUSTOMER, Plan, Slots, slots

_RETURNS, _VOIDS = 0.022, 0.003  # of all receipts
_RETURNED_WITHIN_DAYS = 28
_LOYAL, _AT_HOME = 0.68, 0.85  # baskets with a loyalty card; of those, in the customer's own shop
_FAVOURITES, _FROM_FAVOURITES = 16, 0.35  # a loyal customer's usual products, and the lines that are one of them
_LINE_COUNTS = np.arange(1, 61, dtype=np.float64)
_LINE_SHARES = rising_sum(np.exp(-((np.log(_LINE_COUNTS) - 1.7) ** 2) / 1.8) / _LINE_COUNTS)  # median 5, mean 8
_PIECES = np.array([1, 2, 3, 4, 6, 10])
_PIECE_SHARES = rising_sum([0.80, 0.135, 0.035, 0.02, 0.008, 0.002])
_OFFERS = 0.16  # of all products in a week
_NO_CUSTOMER = -1

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Visits:
    """What receipts record; `source` is where their lines come from: a return's original, else the receipt itself."""

    returned: Flags
    void: Flags
    source: Slots
    customer: Indices  # number, or -1
    payer: Words


def visits(plan: Plan, at: Slots) -> Visits:
    """Return what the receipts in these slots record."""
    wanted = _wants_return(plan, at.number)
    original = _original(plan, at)
    returned = wanted & (original >= 0) & ~_wants_return(plan, original) & ~_is_void(plan, original)
    source = slots(plan, np.where(returned, original, at.number))
    customer = _customers(plan, source)
    anonymous = mix(source.number, plan.seed, "payer")
    payer = np.where(customer >= 0, mix(customer, "wallet"), anonymous)
    return Visits(returned, _is_void(plan, at.number) & ~wanted, source, customer, payer)


def lines(plan: Plan, at: Slots, seen: Visits) -> pl.DataFrame:
    """Return the line items of some receipts as `rendering.render` takes them, with `food_cents` besides."""
    source = seen.source
    counts = pick_weighted(_LINE_SHARES, source.number, plan.seed, "lines") + 1
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = ~seen.returned[row] | _brought_back(plan, at.number[row], place, counts[row])
    row, place = row[taken], place[taken]
    line = mix(source.number[row], place, plan.seed, "line")
    article = _articles(plan, source, seen.customer, row, line)
    table = _columns()
    quantity, discount, amount = _amounts(plan, source.day[row], seen.customer[row], article, line)
    rates = np.array([shop.tax_basis_points for shop in plan.shops])[source.shop[row]]
    tax = np.where(table.taxed[article], (amount * rates + 5_000) // 10_000, 0)
    sign = np.where(seen.returned[row], -1, 1)
    return pl.DataFrame(
        {
            "receipt": row.astype(np.uint32),
            "goods": table.goods.gather(article),
            "quantity": quantity * sign,
            "unit": table.units.gather(article),
            "unit_price_cents": table.prices[article],
            "discount_cents": discount * sign,
            "tax_cents": tax * sign,
            "amount_cents": amount * sign,
            "food_cents": np.where(table.taxed[article], 0, amount) * sign,
        }
    )


def _original(plan: Plan, at: Slots) -> Indices:
    """Return a receipt of the same shop one to 28 days before, or -1 where there is none."""
    shops = len(plan.shops)
    cell = at.cell - shops * (1 + pick(_RETURNED_WITHIN_DAYS, at.number, plan.seed, "delay"))
    known = np.maximum(cell, 0)
    size = plan.starts[known + 1] - plan.starts[known]
    rank = (fraction(at.number, plan.seed, "original") * size).astype(np.int64)
    return np.where((cell >= 0) & (size > 0), plan.starts[known] + rank, -1)


def _wants_return(plan: Plan, number: Indices) -> Flags:
    return fraction(number, plan.seed, "return") < _RETURNS


def _is_void(plan: Plan, number: Indices) -> Flags:
    return fraction(number, plan.seed, "void") < _VOIDS


def _brought_back(plan: Plan, number: Indices, place: Indices, counts: Indices) -> Flags:
    """Say which lines come back: one for certain, each other with 25 %."""
    certain = (fraction(number, plan.seed, "certain") * counts).astype(np.int64)
    return (place == certain) | (fraction(number, place, plan.seed, "back") < 0.25)


def _customers(plan: Plan, at: Slots) -> Indices:
    """Return loyal customers' numbers: mostly people of the shop, some far more often than others."""
    if plan.customers == 0:
        return np.full(len(at.number), _NO_CUSTOMER)
    shops = len(plan.shops)
    people = (plan.customers - at.shop + shops - 1) // shops  # of this shop: every one whose number leads to it
    eager = (fraction(at.number, plan.seed, "who") ** 1.6 * people).astype(np.int64)
    at_home = (fraction(at.number, plan.seed, "home") < _AT_HOME) & (people > 0)
    anyone = pick(plan.customers, at.number, plan.seed, "anyone")
    loyal = fraction(at.number, plan.seed, "loyal") < _LOYAL
    return np.where(loyal, FIRST_CUSTOMER + np.where(at_home, eager * shops + at.shop, anyone), _NO_CUSTOMER)


def _articles(plan: Plan, at: Slots, customer: Indices, row: Indices, line: Words) -> Indices:
    """Return the product of each line: by the season's popularity, or one of the customer's favourites."""
    month = (np.datetime64(plan.start) + at.day).astype("datetime64[M]").astype(np.int64) % 12
    popularity = popularity_by_month()
    article = np.zeros(len(row), np.int64)
    for index in np.unique(month):
        here = (month == index)[row]
        article[here] = pick_weighted(popularity[index], line[here], "article")
    favourite = mix(customer[row], pick(_FAVOURITES, line, "slot"), "favourite")
    usual = (customer[row] >= 0) & (fraction(line, "usual") < _FROM_FAVOURITES)
    return np.where(usual, pick_weighted(usual_popularity(), favourite), article)


def _amounts(
    plan: Plan, day: Indices, customer: Indices, article: Indices, line: Words
) -> tuple[Fractions, Indices, Indices]:
    """Return quantity, discount_cents (the week's offers, for loyal customers) and amount_cents of each line."""
    table = _columns()
    pieces = _PIECES[pick_weighted(_PIECE_SHARES, line, "pieces")].astype(np.float64)
    pounds = np.round(0.25 + 3.25 * fraction(line, "pounds") ** 2, 2)
    quantity = np.where(table.weighed[article], pounds, pieces)
    shelf = np.rint(quantity * table.prices[article]).astype(np.int64)
    week = (plan.start.toordinal() + day) // 7
    offered = (fraction(article, week, plan.seed, "offer") < _OFFERS) & (customer >= 0)
    rate = 0.10 + 0.25 * fraction(article, week, plan.seed, "rate")
    discount = np.where(offered, np.rint(shelf * rate), 0).astype(np.int64)
    return quantity, discount, shelf - discount


@dataclass(frozen=True, slots=True)
class _Columns:
    goods: pl.Series
    units: pl.Series
    prices: Indices
    taxed: Flags
    weighed: Flags


@cache
def _columns() -> _Columns:
    products = catalogue()
    return _Columns(
        goods=goods((p.sku, p.description, p.department, p.category) for p in products),
        units=pl.Series([p.unit for p in products]),
        prices=np.array([p.price_cents for p in products]),
        taxed=np.array([p.taxed for p in products]),
        weighed=np.array([p.unit == "lb" for p in products]),
    )
