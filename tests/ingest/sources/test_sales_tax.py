"""Sales tax by department and category."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.sources.sales_tax import is_taxed, tax_cents


@pytest.mark.parametrize(
    ("department", "category", "taxed"),
    [
        ("GROCERY", "SOFT DRINKS", True),
        ("GROCERY", "FLUID MILK PRODUCTS", False),
        ("GROCERY", "PAPER TOWELS", True),
        ("GROCERY", "BATH TISSUES", False),
        ("DRUG GM", "TOYS AND GAMES", True),
        ("DRUG GM", "CANDY - PACKAGED", False),
        ("DRUG GM", None, True),
        ("DELI", "PREPARED FOOD", True),
        ("FUEL", "COUPON/MISC ITEMS", False),
        (None, None, False),
    ],
)
def test_food_is_exempt_and_merchandise_is_not(department, category, taxed):
    frame = pl.DataFrame({"department": [department], "category": [category]}, {"department": str, "category": str})
    assert frame.select(is_taxed()).item() is taxed


@pytest.mark.parametrize(("amount", "tax"), [(0, 0), (7, 0), (8, 1), (100, 7), (1_999, 140), (150, 11)])
def test_seven_per_cent_is_rounded_half_up(amount, tax):
    frame = pl.DataFrame({"amount": [amount], "rate": [700], "taxed": [True]})
    assert frame.select(tax_cents("amount", "rate", "taxed")).item() == tax
