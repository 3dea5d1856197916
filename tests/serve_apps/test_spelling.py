"""Typing errors in words for products."""

from __future__ import annotations

import pytest

from serve_apps.spelling import Spelling

SPELLING = Spelling.of(
    {"chicken": 900, "noodle": 80, "soup": 300, "roquefort": 2, "extensive": 5, "tortilla": 240, "tortila": 1,
     "grated": 40, "grape": 300, "creme": 400, "crepe": 2, "hanover": 12, "strawberries": 90, "rotisserie": 30}
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chiken noodel soup", "chicken noodle soup"),
        ("roquefrot", "roquefort"),
        ("rotissery", "rotisserie"),  # two errors in a long word
        ("rottiserie", "rotisserie"),
        ("tortila", "tortilla"),  # as one product is misspelt too
        ("CHIX", "chicken"),
    ],
)
def test_a_misspelt_word_becomes_the_catalogues(typed, meant):
    assert SPELLING.corrected(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["roquefort", "expensive", "hangover", "crepe", "strawberry", "soap", "grate", "xqzv", "2x4", "zzzzzzzzzzzz"],
)
def test_what_is_a_word_of_its_own_or_nothing_known_is_left_alone(typed):
    assert SPELLING.corrected(typed) == typed


def test_an_empty_catalogue_corrects_nothing():
    assert Spelling.of({}).corrected("chiken") == "chiken"
