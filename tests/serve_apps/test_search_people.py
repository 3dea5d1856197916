"""How alike names are."""

from __future__ import annotations

import pytest

from serve_apps.search_people import likeness


def test_a_name_is_like_itself_in_any_order():
    assert likeness(["maria", "kowalski"], ["kowalski", "maria"]) == 1.0


def test_a_surname_alone_is_enough():
    assert likeness(["kowalski"], ["maria", "kowalski"]) == 1.0


@pytest.mark.parametrize("typed", [["marya", "kowalsky"], ["maria", "kowaslki"], ["mari", "kowalski"]])
def test_a_slip_is_nearer_than_another_name(typed):
    assert likeness(typed, ["maria", "kowalski"]) > 0.8 > likeness(typed, ["maria", "petrov"])


def test_nothing_is_like_nothing():
    assert likeness([], ["maria"]) == likeness(["maria"], []) == 0.0
