"""When people shop."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.synthetic.calendar import day_weight, easter, seconds_of_day, thanksgiving


@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25)])
def test_easter_is_when_the_church_keeps_it(day):
    assert easter(day.year) == day


@given(st.integers(2000, 2099))
def test_thanksgiving_is_the_fourth_thursday_of_november(year):
    day = thanksgiving(year)
    assert (day.month, day.weekday()) == (11, 3)
    assert 22 <= day.day <= 28


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_only_christmas_is_closed(day):
    assert (day_weight(day) == 0) == ((day.month, day.day) == (12, 25))
    assert day_weight(day) < 3


def test_the_hours_go_from_six_to_midnight():
    edges, shares = seconds_of_day()
    assert (edges[0], edges[-1]) == (6 * 3_600, 24 * 3_600)
    assert (shares[0], shares[-1]) == (0, 1)
