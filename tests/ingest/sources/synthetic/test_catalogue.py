"""The composed grocery catalogue."""

from __future__ import annotations

from collections import Counter

import pytest

from ingest.sources.overlay.tables import read_table
from ingest.sources.synthetic.catalogue import catalogue, popularity_by_month, till_words
from receipts.card_numbers import contains_card_number
from receipts.models import Line
from receipts.products import expand


def test_there_are_thousands_of_products_with_numbers_and_descriptions_of_their_own():
    products = catalogue()
    assert len(products) >= 3_000
    assert len({p.sku for p in products}) == len({(p.category, p.description) for p in products}) == len(products)


@pytest.mark.parametrize(
    "speciality",
    ["Roquefort", "Brie", "Gruyere", "Manchego", "Gorgonzola", "Stilton", "Prosciutto", "Kombucha", "Sourdough"],
)
def test_real_specialities_are_sold(speciality):
    assert [p for p in catalogue() if speciality.casefold() in p.name.casefold()]


def test_a_till_prints_known_words_short():
    tills = {"chicken": "CHIX", "breast": "BRST", "boneless": "BNLS"}
    assert till_words("Chicken Breast Boneless 1 LB", tills) == "CHIX BRST BNLS 1LB"
    assert "CHIX BRST BNLS SKNLS 1LB" in {p.description for p in catalogue()}


def test_search_knows_every_abbreviation_that_is_printed():
    rows = read_table("abbreviations", "ingest.sources.synthetic")
    assert {row["till"]: expand(row["till"]) for row in rows} == {row["till"]: row["word"] for row in rows}


def test_every_product_fits_a_receipts_line():
    for p in catalogue():
        line = Line(
            line_number=1,
            sku=p.sku,
            description=p.description,
            department=p.department,
            category=p.category,
            quantity=1.0,
            unit=p.unit,
            unit_price_cents=p.price_cents,
            amount_cents=p.price_cents,
        )
        assert line.description == p.description
        assert not contains_card_number(f"{p.sku} {p.description}")
        assert 9 <= p.price_cents < 10_000, p


def test_a_number_has_the_check_digit_of_a_upc():
    for p in catalogue():
        weighted = sum(int(c) * (3 if i % 2 == 0 else 1) for i, c in enumerate(p.sku))
        assert len(p.sku) == 12
        assert weighted % 10 == 0


def test_a_few_products_make_most_of_the_sales():
    shares = sorted((p.popularity for p in catalogue()), reverse=True)
    assert sum(shares[: len(shares) // 5]) > 0.65 * sum(shares)


def test_products_sell_by_season():
    november, june = popularity_by_month()[10], popularity_by_month()[5]
    turkeys = [i for i, p in enumerate(catalogue()) if p.name.startswith("Whole Turkey")]

    def share(rising, index):
        return rising[index] - rising[index - 1]

    assert all(share(november, i) > 10 * share(june, i) for i in turkeys)


def test_many_departments_and_categories_are_covered():
    by_category = Counter((p.department, p.category) for p in catalogue())
    assert len(by_category) >= 80
    assert min(by_category.values()) >= 5
