"""Stores by names cut short, spelt out and mistyped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.understanding.query import StoreNames
from serve_apps.understanding.store_names import bare, index_keys, key_of, keys_of, nearest_key
from serve_apps.understanding.stores import gazetteer, match_store

STORES = gazetteer(
    (
        StoreNames(1, "North Hills"),
        StoreNames(2, "Mt. Lebanon", ("Lebo",)),
        StoreNames(3, "Upper St. Clair"),
        StoreNames(4, "Natrona Heights"),
        StoreNames(5, "Robinson Town Centre"),
        StoreNames(6, "Brookline", ("Brookline Blvd",)),
        StoreNames(7, "Strip District", ("The Strip",)),
        StoreNames(8, "South Hills"),
        StoreNames(9, "Penn Hills"),
    )
)


@pytest.mark.parametrize(
    ("typed", "store"),
    [
        ("N. Hills", 1), ("n hls", 1), ("S Hills", 8), ("Mount Lebanon", 2), ("Mt Lebannon", 2), ("U Saint Clair", 3),
        ("Upper Saint Clare", 3), ("natrona hts", 4), ("Natrona Hts.", 4), ("robinson towne ctr", 5),
        ("Brookline Boulevard", 6), ("strip district store", 7), ("the Strip, Pittsburgh", 7), ("Giant Eagle Lebo", 2),
        ("Pnn Hills", 9), ("Penn Hlls PA", 9),
    ],
)  # fmt: skip
def test_a_store_is_found_however_its_name_is_cut(typed, store):
    match = match_store(typed, STORES)
    assert match is not None
    assert match.store_ids == (store,)


@pytest.mark.parametrize(
    "typed", ["", "   ", "!!!", "pumpernickel", "the", "store", "x" * 10_000, "💥", "'; DROP TABLE"]
)
def test_what_is_no_store_finds_none(typed):
    assert match_store(typed, STORES) is None


def test_a_name_in_full_goes_before_another_cut_short():
    both = gazetteer((StoreNames(1, "Fort Hill"), StoreNames(2, "Ft Hill")))
    assert match_store("ft hill", both).store_ids == (2,)
    assert match_store("fort hill", both).store_ids == (1,)


def test_a_name_that_two_stores_share_means_both():
    both = gazetteer((StoreNames(1, "Oakland"), StoreNames(2, "Forbes", ("Oakland",))))
    assert match_store("Oaklnad", both).store_ids == (1, 2)


def test_words_are_exchanged_both_ways_and_the_name_itself_comes_first():
    keys = list(keys_of("Mount St. Clair Heights"))
    assert keys[0] == "mountstclairheights"
    assert {"mtstclairhts", "mountsaintclairheights", "mtsaintclairhts"} <= set(keys)
    assert "mountstclairheights" in set(keys_of("Mt Saint Clair Hts"))


@given(st.text(max_size=60))
def test_any_name_has_its_own_key_first_and_not_many(name):
    keys = list(keys_of(name))
    assert len(keys) <= 48
    assert keys[:1] in ([], [key_of(name)])


@given(st.lists(st.text("abcde", min_size=1, max_size=8), min_size=1, max_size=30))
def test_a_key_is_nearest_to_itself(keys):
    index = index_keys(dict.fromkeys(keys))
    assert all(nearest_key(key, index, 70) == (key, 100) for key in keys)


def test_nothing_is_near_in_an_empty_index():
    assert nearest_key("shadyside", index_keys(()), 0) is None


def test_dressing_goes_and_a_name_never_vanishes():
    assert bare("the Giant Eagle store in Shadyside, PA") == "shadyside"
    assert bare("the store") == "store"
    assert bare("Giant Eagle") == "giant eagle"
