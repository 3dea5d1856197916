"""A generated history as JSON records: stores, customers and receipts, in chunks that can each be made alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ingest.sources.mixing import Indices, fraction, mix, pick
from ingest.sources.overlay.people import people
from ingest.sources.rendering import render, with_sums
from ingest.sources.synthetic.baskets import Visits, lines, visits
from ingest.sources.synthetic.plan import FIRST_CUSTOMER, Plan, Slots, keys, slots
from ingest.sources.tenders import tender_column
from receipts.identity import NaturalKey, receipt_id

CHUNK = 4_000  # receipts made at once: about 30 MB
_COUPONS = 0.03  # of all sales
_OPERATORS = 24  # cashiers per shop


def chunks(plan: Plan) -> range:
    """Return the numbers of the plan's chunks."""
    return range(-(-plan.receipts // CHUNK))


def chunk_receipts(plan: Plan, chunk: int) -> list[str]:
    """Return the canonical JSON of one chunk's receipts in the order of purchase; needs no other chunk."""
    at = slots(plan, np.arange(chunk * CHUNK, min((chunk + 1) * CHUNK, plan.receipts)))
    seen = visits(plan, at)
    items = lines(plan, at, seen)
    summed = with_sums(_headers(plan, at, seen), items)
    food = items.group_by("receipt").agg(pl.col("food_cents").sum()).sort("receipt")["food_cents"]
    due = pl.DataFrame(
        {"total_cents": summed["total_cents"], "coupon_cents": _coupons(plan, at, seen), "food_cents": food}
    )
    paid = tender_column(due, seen.payer, mix(seen.source.number, plan.seed, "basket"))
    tenders = pl.when(pl.lit(pl.Series(seen.void))).then(pl.lit("[]")).otherwise(pl.lit(paid))  # a void was never paid
    texts = render(summed.with_columns(tenders.alias("tenders")), items)
    order = summed["purchased_at"].to_physical().to_numpy().argsort(kind="stable")
    return [texts[row] for row in order]


def history_receipts(plan: Plan) -> Iterator[str]:
    """Yield every receipt's canonical JSON, day by day; memory does not grow with their number."""
    for chunk in chunks(plan):
        yield from chunk_receipts(plan, chunk)


def history_stores(plan: Plan) -> Iterator[str]:
    """Yield the canonical JSON of the plan's shops."""
    return (shop.store.canonical() for shop in plan.shops)


def history_customers(plan: Plan) -> Iterator[str]:
    """Yield the canonical JSON of the plan's loyal customers."""
    for first in range(0, plan.customers, CHUNK):
        numbers = np.arange(first, min(first + CHUNK, plan.customers))
        homes = [plan.shops[index] for index in numbers % len(plan.shops)]
        for customer in people(FIRST_CUSTOMER + numbers, homes, plan.start):
            yield customer.canonical()


def _headers(plan: Plan, at: Slots, seen: Visits) -> pl.DataFrame:
    own = keys(plan, at)
    sold = np.flatnonzero(seen.returned)
    originals = np.full(len(at.number), None, object)
    originals[sold] = _ids(keys(plan, slots(plan, seen.source.number[sold])))
    kind = np.where(seen.returned, "return", np.where(seen.void, "void", "sale"))
    operator = pick(_OPERATORS, at.cell, own["register_id"].to_numpy(), plan.seed, "operator") + 101
    return own.with_columns(
        pl.Series("receipt_id", _ids(own)),
        pl.Series("receipt_type", kind),
        pl.concat_str(pl.lit("OP"), pl.Series(operator)).alias("operator_id"),
        pl.Series("original_receipt_id", originals.tolist(), pl.String),
        pl.when(pl.lit(pl.Series(seen.customer)) >= 0)
        .then(pl.concat_str(pl.lit("C"), pl.Series(seen.customer)))
        .alias("customer_id"),
    )


def _ids(own: pl.DataFrame) -> list[str]:
    columns = own.select("store_id", "register_id", "business_date", "sequence_number")
    return [receipt_id(NaturalKey(*row)) for row in columns.iter_rows()]


def _coupons(plan: Plan, at: Slots, seen: Visits) -> Indices:
    """Return the manufacturers' coupons handed over with a sale: fifty cents to three dollars in quarters."""
    handed = (fraction(at.number, plan.seed, "coupon") < _COUPONS) & ~seen.returned
    return np.where(handed, 50 + 25 * pick(11, at.number, plan.seed, "worth"), 0)
