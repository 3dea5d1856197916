"""The plan of a generated history: how many receipts each shop writes on each day, and who and when from a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest

import numpy as np
import polars as pl

from ingest.sources.journey_tables import TIME_ZONE
from ingest.sources.mixing import Indices, fraction, mix
from ingest.sources.overlay.network import Shop, network
from ingest.sources.synthetic.calendar import day_weight, seconds_of_day
from receipts.errors import InvalidInput

FIRST_REGISTER = 101  # above those of Complete Journey, so both may stand in one database
FIRST_CUSTOMER = 1_000_000
MAX_CUSTOMERS = 9_000_000  # customer ids have seven digits
_EASTERN_PER_FAR = 8  # one shop in nine keeps another clock than Pittsburgh
_QUIETEST = 200  # added to every shop's yearly baskets: the quietest of the data set sold one


@dataclass(frozen=True, slots=True)
class Plan:
    """A history of `receipts` receipts. `starts[cell]` is the number of the first one of a day and shop.

    Cells are in the order of days, within a day in the order of `shops`; `starts` has one element more than cells.
    """

    receipts: int
    seed: int
    start: date
    end: date
    customers: int
    shops: tuple[Shop, ...]
    starts: Indices


@dataclass(frozen=True, slots=True)
class Slots:
    """Where in the plan some receipts stand: arrays of one length."""

    number: Indices
    cell: Indices
    day: Indices  # days after the start
    shop: Indices  # index into the plan's shops
    rank: Indices  # within the cell, in the order of time
    peers: Indices  # how many receipts the cell has


def make_plan(*, receipts: int, seed: int, start: date, end: date, stores: int, customers: int) -> Plan:
    """Spread receipts over days and shops; raises InvalidInput for a wrong number or an empty time."""
    _check("receipts", receipts, 1, 10**12)
    _check("seed", seed, 0, 2**63 - 1)
    _check("stores", stores, 1, len(network()))
    _check("customers", customers, 0, MAX_CUSTOMERS)
    if not date(2000, 1, 1) <= start <= end <= date(2099, 12, 31):
        raise InvalidInput("start", f"{start} to {end} is not a time between 2000-01-01 and 2099-12-31")
    shops = _chosen(stores)
    days = (end - start).days + 1
    by_day = np.array([day_weight(start + timedelta(days=d)) for d in range(days)])
    by_shop = np.array([float(shop.yearly_baskets + _QUIETEST) for shop in shops])
    if not by_day.any():
        raise InvalidInput("start", f"shops are closed from {start} to {end}")
    noise = 0.8 + 0.4 * fraction(np.arange(days * stores), seed, "noise")
    sold = np.cumsum(np.outer(by_day, by_shop).ravel() * noise)
    starts = np.concatenate([np.zeros(1, np.int64), np.floor(sold / sold[-1] * receipts + 1e-6).astype(np.int64)])
    starts[-1] = receipts
    return Plan(receipts, seed, start, end, customers, shops, starts)


def slots(plan: Plan, numbers: Indices) -> Slots:
    """Return where receipts of these numbers stand."""
    cell = np.searchsorted(plan.starts, numbers, side="right") - 1
    first = plan.starts[cell]
    day, shop = np.divmod(cell, len(plan.shops))
    return Slots(numbers, cell, day, shop, numbers - first, plan.starts[cell + 1] - first)


def keys(plan: Plan, at: Slots) -> pl.DataFrame:
    """Return store_id, register_id, business_date, sequence_number (unique together) and purchased_at (UTC).

    The lanes of a shop are filled round by round, each round in another order: so a receipt's register and number
    follow from its rank, and count up with time.
    """
    lanes = np.array([min(max(shop.yearly_baskets // 350 + 2, 2), 12) for shop in plan.shops])[at.shop]
    turn, place = np.divmod(at.rank, lanes)
    offset = (mix(at.cell, turn, plan.seed, "lane") % np.uint64(1_000)).astype(np.int64)
    edges, shares = seconds_of_day()
    share = (at.rank + fraction(at.number, plan.seed, "minute")) / at.peers
    seconds = np.interp(share, shares, edges).astype(np.int64)
    local = pl.DataFrame(
        {
            "store_id": np.array([shop.store.store_id for shop in plan.shops])[at.shop],
            "register_id": (place + offset) % lanes + FIRST_REGISTER,
            "day": at.day,
            "sequence_number": turn + 1,
            "second": seconds,
            "zone": np.array([shop.store.time_zone for shop in plan.shops])[at.shop],
        }
    ).with_columns(business_date=pl.lit(plan.start) + pl.duration(days="day"))
    clock = pl.col("business_date").cast(pl.Datetime("us")) + pl.duration(seconds="second")
    return local.with_columns(purchased_at=_to_utc(clock, {shop.store.time_zone for shop in plan.shops})).select(
        "store_id", "register_id", "business_date", "sequence_number", "purchased_at"
    )


def _to_utc(clock: pl.Expr, zones: set[str]) -> pl.Expr:
    """Return the instants of wall-clock times whose zone is in the column `zone`."""
    instants = [
        pl.when(pl.col("zone") == zone).then(clock.dt.replace_time_zone(zone).dt.convert_time_zone("UTC"))
        for zone in sorted(zones)
    ]
    return pl.coalesce(instants)


def _chosen(count: int) -> tuple[Shop, ...]:
    """Return so many shops, the busiest first, with some outside Eastern time among any ten."""
    near = [shop for shop in network() if shop.store.time_zone == TIME_ZONE]
    far = [shop for shop in network() if shop.store.time_zone != TIME_ZONE]
    groups = [near[i : i + _EASTERN_PER_FAR] for i in range(0, len(near), _EASTERN_PER_FAR)]
    mixed = [
        shop for group, other in zip_longest(groups, far, fillvalue=None) for shop in [*(group or []), other] if shop
    ]
    return tuple(mixed[:count])


def _check(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInput(field, f"{value} is not between {low} and {high}")
