"""Loyalty customers: invented people for household numbers, living near the shop they use most."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import numpy as np

from ingest.sources.mixing import Fractions, Indices, mix, pick, pick_weighted, rising_sum
from ingest.sources.overlay.network import Shop
from ingest.sources.overlay.tables import read_table
from receipts.models import Customer
from receipts.text import normalise

_DOMAINS = ("example.com", "example.net", "example.org")  # RFC 2606: nobody's mail
_MEMBERSHIP_DAYS = 12 * 365  # customers joined within so many days before `joined_before`


def customer_id(number: int) -> str:
    """Return the loyalty id of a household number."""
    return f"C{number:07d}"


def people(numbers: Indices, homes: list[Shop], joined_before: date) -> Iterator[Customer]:
    """Yield one customer per household number; `homes` are their shops, row by row.

    Everything but `customer_since` depends on the number and the shop alone.
    """
    first_names, first_weights = _names("first_names")
    last_names, last_weights = _names("last_names")
    streets = [row["name"] for row in read_table("streets")]
    chosen = zip(
        numbers.tolist(),
        homes,
        pick_weighted(first_weights, numbers, "first").tolist(),
        pick_weighted(last_weights, numbers, "last").tolist(),
        pick(len(streets), numbers, "street").tolist(),
        mix(numbers, "rest").tolist(),
        strict=True,
    )
    for number, home, first, last, street, bits in chosen:
        given, family, store = first_names[first], last_names[last], home.store
        yield Customer(
            customer_id=customer_id(number),
            first_name=given,
            last_name=family,
            email=_email(given, family, number, bits),
            phone=f"({home.area_code}) 555-01{bits % 100:02d}",
            street=f"{bits // 100 % 9_800 + 100} {streets[street]}",
            city=store.city,
            state=store.state,
            postal_code=store.postal_code,
            customer_since=joined_before - timedelta(days=1 + bits // 10**6 % _MEMBERSHIP_DAYS),
            home_store_id=store.store_id,
        )


def _email(given: str, family: str, number: int, bits: int) -> str:
    """Compose an address as people have them; the number keeps it unique."""
    plain_given, plain_family = normalise(given).replace(" ", ""), normalise(family).replace(" ", "")
    left = (f"{plain_given}.{plain_family}", f"{plain_given[0]}{plain_family}", f"{plain_family}.{plain_given}")
    return f"{left[bits % len(left)]}{number}@{_DOMAINS[bits // 7 % len(_DOMAINS)]}"


@cache
def _names(table: str) -> tuple[list[str], Fractions]:
    rows = read_table(table)
    return [row["name"] for row in rows], rising_sum(np.array([float(row["weight"]) for row in rows]))
