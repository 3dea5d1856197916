"""The chain's shops."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import polars as pl

from ingest.sources.journey_tables import read_transactions
from ingest.sources.overlay.network import network, shop

REGIONS = {
    1: "Pittsburgh East",
    2: "Pittsburgh West",
    3: "Pittsburgh South",
    4: "Pittsburgh North",
    5: "Ohio",
    6: "West Virginia",
    7: "Erie & Northwest",
    8: "Central Pennsylvania",
    9: "Midwest & West",
}


def test_names_and_numbers_are_unique():
    stores = [s.store for s in network()]
    assert len({s.name.casefold() for s in stores}) == len({s.store_id for s in stores}) == len(stores) > 500


def test_the_busiest_shops_are_the_neighbourhoods_people_name_most():
    names = {number: shop(number).store.name for number in (367, 406, 343)}
    assert names == {367: "East Liberty", 406: "Shadyside", 343: "Squirrel Hill"}
    assert all(shop(number).store.region_id == 1 for number in names)


def test_people_find_a_shop_by_what_they_call_it():
    aliases = {alias: s.store.name for s in network() for alias in s.store.aliases}
    assert aliases["'Sliberty"] == aliases["E Liberty"] == "East Liberty"
    assert aliases["Mount Lebanon"] == "Mt. Lebanon"
    assert aliases["Cranberry"] == "Cranberry Township"


def test_at_least_sixty_neighbourhoods_around_pittsburgh_have_shops():
    around = [s.store for s in network() if s.store.region_id in (1, 2, 3, 4)]
    assert len(around) >= 60
    wanted = {"Lawrenceville", "Bloomfield", "Oakland", "South Side", "Strip District", "Monroeville", "Robinson"}
    assert wanted <= {store.name for store in around}


def test_no_alias_is_another_shops_name():
    names = {s.store.name.casefold() for s in network()}
    assert not [alias for s in network() for alias in s.store.aliases if alias.casefold() in names]


def test_every_region_has_shops_and_carries_its_name():
    assert {s.store.region_id: s.store.region for s in network()} == REGIONS


def test_complete_journeys_shops_are_the_networks_eastern_shops():
    sold = set(read_transactions().select(pl.col("store_id").unique()).collect()["store_id"])
    assert sold == {s.store.store_id for s in network() if s.store.time_zone == "America/New_York"}


def test_some_shops_keep_other_clocks():
    zones = {s.store.time_zone for s in network()}
    assert {"America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles"} < zones
    assert all(ZoneInfo(zone) for zone in zones)


def test_no_telephone_number_is_anybodys():
    assert all(" 555-01" in s.store.phone for s in network())


def test_allegheny_county_adds_one_per_cent_of_sales_tax():
    assert shop(367).tax_basis_points == 700
    assert {s.tax_basis_points for s in network() if s.store.state == "PA" and s.county != "Allegheny"} == {600}


def test_an_unknown_number_is_no_shop():
    assert shop(99_999) is None
