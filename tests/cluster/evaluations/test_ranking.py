"""Measures of a ranking, against figures worked out by hand."""

from __future__ import annotations

from math import log2

import pytest

from cluster.evaluations.ranking import ndcg, precision, recall


def test_gain_is_less_the_lower_a_place_is():
    assert ndcg(["a", "b"], {"a", "b"}) == 1
    assert ndcg(["x", "a"], {"a"}) == pytest.approx(1 / log2(3))
    assert ndcg(["x", "a", "b"], {"a", "b"}) == pytest.approx((1 / log2(3) + 1 / 2) / (1 + 1 / log2(3)))
    assert ndcg(["a"] + ["x"] * 9 + ["b"], {"a", "b"}) == pytest.approx(1 / (1 + 1 / log2(3)))  # the eleventh is late
    assert ndcg(["a"], set()) == 0


def test_empty_places_count_against_precision():
    assert precision(["a", "b"], {"a", "b"}) == 0.2
    assert precision(["a"] * 10, {"a"}) == 1


def test_recall_asks_no_more_than_there_are_places():
    many = [str(n) for n in range(100)]
    assert recall(many[:50], set(many)) == 1
    assert recall(["a", "x"], {"a", "b"}) == 0.5
    assert recall(["a"], set()) == 0
