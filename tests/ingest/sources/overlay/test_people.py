"""Invented customers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ingest.sources.overlay.network import shop
from ingest.sources.overlay.people import people
from ingest.sources.overlay.tables import read_table
from receipts.models import Customer


@pytest.fixture(scope="module")
def crowd() -> list[Customer]:
    return list(people(np.arange(1, 2_501), [shop(367)] * 2_500, date(2017, 1, 1)))


def test_the_lists_of_names_are_long():
    assert len({row["name"] for row in read_table("first_names")}) >= 300
    assert len({row["name"] for row in read_table("last_names")}) >= 500


def test_ids_and_mail_addresses_are_unique(crowd):
    assert len({c.customer_id for c in crowd}) == len({c.email for c in crowd}) == len(crowd)


def test_mail_and_telephone_reach_nobody(crowd):
    assert {c.email.split("@")[1] for c in crowd} == {"example.com", "example.net", "example.org"}
    assert all(" 555-01" in c.phone and c.phone.startswith("(412)") for c in crowd)


def test_names_are_diverse_but_some_are_common(crowd):
    families = [c.last_name for c in crowd]
    assert len(set(families)) > 400
    assert 10 <= max(families.count(name) for name in set(families)) < 100


def test_people_live_in_the_town_of_their_shop_and_joined_before(crowd):
    home = shop(367).store
    assert {(c.city, c.state, c.postal_code, c.home_store_id) for c in crowd} == {
        (home.city, home.state, home.postal_code, 367)
    }
    assert date(2004, 1, 1) < min(c.customer_since for c in crowd)
    assert max(c.customer_since for c in crowd) < date(2017, 1, 1)


def test_a_person_is_the_same_whoever_else_is_asked_for(crowd):
    alone = list(people(np.array([1_234]), [shop(367)], date(2017, 1, 1)))
    assert alone == [crowd[1_233]]
