"""Product text: abbreviations spelt out, one search text, glosses."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts import products


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("CHIX: ROTISSERIE (HOT)", "chicken rotisserie hot"),
        ("CHIX BRST BNLS FRZN", "chicken breast boneless frozen"),
        ("CHS SHRD MOZZ", "cheese shredded mozzarella"),
        ("FRZN VEGETABLE/VEG DSH", "frozen vegetable vegetable dish"),
        ("Crème Brûlée", "creme brulee"),
        ("SALT & VINEGAR", "salt & vinegar"),
    ],
)
def test_till_abbreviations_are_spelt_out(printed, meant):
    assert products.expand(printed) == meant


def test_plain_english_is_left_as_it_is():
    text = "salt car can tom pot carb hot dip bread"
    assert products.expand(text) == text


def test_search_text_tells_what_a_product_is_called_from_where_it_stands_and_what_it_is():
    text = products.search_text("CHIX: ROTISSERIE CHIX", "DELI", "CHICKEN/POULTRY")
    assert text == "chicken rotisserie | chicken poultry deli | poultry lean meat"
    assert products.search_text("XQ-17", "", "").split(" | ") == ["xq 17", "", ""]


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        ("Goat Cheese 8.5 oz", "goat cheese"),
        ("COLA ZERO SUGAR 2LTR", "cola zero sugar"),
        ("EGGS ORGNC 12CT", "eggs organic"),
        ("SPRING WATER 24/16.9 FL OZ", "spring water"),
        ("Gallon Freezer Bags 2 pk", "gallon freezer bags"),
        ("Cooler each", "cooler"),
        ("VITAMIN B12 100 CT", "vitamin b12"),
        ("7 UP", "7 up"),
        ("2 LB", "2 lb"),  # or nothing would be left
    ],
)
def test_package_sizes_are_left_out_of_what_is_embedded(printed, left):
    assert products.without_measures(products.expand(printed)) == left


def test_a_kind_is_told_in_shoppers_words_the_special_before_the_general():
    assert "gourmet" in products.kind_text("Wedge", "DELI", "SPECIALTY CHEESE")
    assert "tacos" in products.kind_text("SHREDDED", "DAIRY", "CHEESE")  # of the two together
    assert "baking" not in products.kind_text("Peanut Butter Cups", "GROCERY", "CANDY")  # a butter of name only


@pytest.mark.parametrize(("department", "category"), [("", ""), ("missing", "missing"), ("UNKNOWN", "OTHER")])
def test_a_product_nobody_sorted_is_of_no_kind_and_its_name_alone_decides_what_it_is(department, category):
    assert products.kind_text("Roquefort", department, category) == ""
    assert "blue cheese" in products.concept_text("Roquefort", department, category)


def test_a_kind_nobody_described_is_told_by_its_own_words():
    assert products.kind_text("XQ-17", "", "Widget Things") == "widget things"


@pytest.mark.parametrize(
    ("name", "category", "concept"),
    [
        ("Roquefort Wedge", "SPECIALTY CHEESE", "blue cheese"),
        ("Yellow Peaches", "FRUIT", "stone fruit"),
        ("Parsnips", "VEGETABLES", "root vegetables"),
        ("GATORADE LEMON LIME", "SPORTS DRINKS", "electrolytes"),
        ("ZZZQUIL 24CT", "MEDICINE", "sleep aid"),
        ("Chardonnay", "", "white wine"),
    ],
)
def test_a_name_is_told_by_what_it_does_not_say(name, category, concept):
    assert concept in products.concept_text(name, "", category)


@pytest.mark.parametrize(
    ("name", "category"),
    [("Peach Yogurt", "YOGURT"), ("Canned Peaches", "CANNED FRUIT"), ("Peach Tea", "TEA"), ("Peach Candle", "CANDLES")],
)
def test_a_concept_holds_for_its_kinds_only(name, category):
    assert "stone fruit" not in products.concept_text(name, "", category)


def test_every_line_of_the_concepts_says_what_it_must():
    lines = (resources.files("receipts") / "product_concepts.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert {len(row) for row in rows} == {3}
    assert len({row[0] for row in rows}) == len(rows)
    assert [row[0] for row in rows if not all(products.normalise(member) for member in row[2].split(","))] == []


@pytest.mark.parametrize(
    ("one", "many"),
    [("cherry", "cherries"), ("peach", "peaches"), ("box", "boxes"), ("cookie", "cookies"), ("cheese", "cheeses")],
)
def test_singular_and_plural_compare_equal(one, many):
    assert products.singular(one) == products.singular(many)


@pytest.mark.parametrize("word", ["hummus", "glass", "gas", "molasses"[:-2]])
def test_words_that_only_look_plural_stay(word):
    assert products.singular(word) == word


@given(st.text(max_size=80))
def test_expanding_twice_changes_nothing(text):
    once = products.expand(text)
    assert products.expand(once) == once
