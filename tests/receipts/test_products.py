"""Product text: abbreviations spelt out, one search text, glosses."""

from __future__ import annotations

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


def test_search_text_holds_each_word_once_description_first():
    assert products.search_text("CHIX: ROTISSERIE", "DELI", "CHICKEN/POULTRY") == "chicken rotisserie poultry deli"


def test_a_known_cheese_says_that_it_is_cheese_in_shoppers_words():
    assert "gourmet" in products.gloss_text("Roquefort Wedge", "DELI", "CHEESES")


def test_a_product_nobody_described_has_its_category_as_gloss():
    assert products.gloss_text("XQ-17", "", "Widget Things") == "widget things"
    assert products.gloss_text("XQ-17", "", "") == ""


def test_a_special_gloss_leaves_the_general_one_out():
    assert "mozzarella" not in products.gloss_text("Roquefort Wedge", "DELI", "CHEESES")


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
