"""The chain's shops: names, aliases, addresses, regions and time zones for the store numbers of the data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ingest.sources.mixing import pick
from ingest.sources.overlay.tables import read_table
from receipts.models import Store

FIRST_FAR_STORE = 60_001  # shops outside Eastern time, above every number of Complete Journey
_SHORT_FORMS = (
    ("Township", "Twp"),
    ("Heights", "Hts"),
    ("Mount ", "Mt "),
    ("St. ", "Saint "),
    ("Upper ", "U "),
    ("North ", "N "),
    ("South ", "S "),
    ("East ", "E "),
    ("West ", "W "),
)


@dataclass(frozen=True, slots=True)
class Shop:
    """A store with what a till knows beside its address: its sales tax and how busy it is."""

    store: Store
    county: str
    area_code: str
    tax_basis_points: int  # of taxable goods: 700 is 7 %
    yearly_baskets: int


@cache
def network() -> tuple[Shop, ...]:
    """Return every shop of the chain, busiest first, those outside Eastern time last.

    The busiest numbers of Complete Journey are the Pittsburgh neighbourhoods people name most: East Liberty,
    Shadyside, Squirrel Hill. Names are unique; towns, streets and ZIP prefixes are real, the shops are not.
    """
    numbers = [(int(row["store_id"]), int(row["yearly_baskets"])) for row in read_table("store_ids")]
    places = list(_places())
    near = [place for place in places if place["time_zone"] == "America/New_York"]
    far = [place for place in places if place["time_zone"] != "America/New_York"]
    quiet = numbers[len(numbers) // 2][1]
    numbered = [(number, baskets, place) for (number, baskets), place in zip(numbers, near, strict=False)]
    numbered += [(FIRST_FAR_STORE + i, quiet, place) for i, place in enumerate(far)]
    regions = {int(row["region_id"]): row["name"] for row in read_table("regions")}
    rates = {(row["state"], row["county"]): int(row["basis_points"]) for row in read_table("tax_rates")}
    return tuple(_shop(number, baskets, place, regions, rates) for number, baskets, place in numbered)


@cache
def shop(store_id: int) -> Shop | None:
    """Return the shop of a store number, or None when the chain has none."""
    return next((s for s in network() if s.store.store_id == store_id), None)


def _places() -> Iterator[dict[str, str]]:
    """Yield the neighbourhoods with their own addresses, then further towns with composed ones."""
    yield from read_table("neighbourhoods")
    streets = [row["name"] for row in read_table("streets")]
    for row in read_table("towns"):
        name = row["name"]
        house = int(pick(980, name, "house", len(name))[0]) * 10 + 100
        yield {
            **row,
            "street": f"{house} {streets[int(pick(len(streets), name, 'street')[0])]}",
            "postal_code": f"{row['postal_prefix']}{int(pick(90, name, 'zip')[0]) + 1:02d}",
            "aliases": "|".join(name.replace(long, short) for long, short in _SHORT_FORMS if long in name),
        }


def _shop(
    number: int,
    baskets: int,
    place: dict[str, str],
    regions: dict[int, str],
    rates: dict[tuple[str, str], int],
) -> Shop:
    region_id, state = int(place["region_id"]), place["state"]
    store = Store(
        store_id=number,
        name=place["name"],
        aliases=tuple(alias for alias in place["aliases"].split("|") if alias),
        street=place["street"],
        city=place["city"],
        state=state,
        postal_code=place["postal_code"],
        phone=f"({place['area_code']}) 555-01{number % 100:02d}",  # 555-0100 to 555-0199 are kept for fiction
        time_zone=place["time_zone"],
        region_id=region_id,
        region=regions[region_id],
    )
    rate = rates.get((state, place["county"]), rates[state, "*"])
    return Shop(store, place["county"], place["area_code"], rate, baskets)
