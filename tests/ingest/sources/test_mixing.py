"""Choices that never change."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.mixing import fraction, mix, pick, pick_weighted, rising_sum


def test_the_bits_of_a_number_are_promised_for_ever():
    assert mix(np.arange(3), "label").tolist() == [1635575520364255683, 6565619812062656532, 812044310253272710]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=50))
def test_a_number_gets_the_same_bits_alone_and_among_others(numbers):
    together = mix(np.array(numbers), "salt")
    assert together.tolist() == [int(mix(np.array([number]), "salt")[0]) for number in numbers]


def test_different_labels_give_unrelated_choices():
    numbers = np.arange(10_000)
    assert abs(np.corrcoef(fraction(numbers, "a"), fraction(numbers, "b"))[0, 1]) < 0.05


def test_fractions_fill_the_unit_interval_evenly():
    parts = np.histogram(fraction(np.arange(100_000), "even"), bins=10, range=(0, 1))[0]
    assert parts.sum() == 100_000
    assert parts.min() > 9_600


@given(count=st.integers(1, 1_000))
def test_a_pick_lies_within_its_count(count):
    picked = pick(count, np.arange(200), "pick")
    assert picked.min() >= 0
    assert picked.max() < count


def test_weighted_picks_come_in_proportion():
    picked = pick_weighted(rising_sum([8, 1, 1]), np.arange(50_000), "weights")
    assert abs((picked == 0).mean() - 0.8) < 0.01
