"""When people shop: by weekday, season and holiday, and by the hour."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np

from ingest.sources.mixing import Fractions, rising_sum

OPENS_AT_H = 6  # shops open from six to midnight, so no sale falls into the hour that summer time skips or repeats
_WEEKDAYS = (0.92, 0.88, 0.90, 0.97, 1.14, 1.25, 1.10)  # Monday first
_MONTHS = (0.96, 0.95, 0.98, 1.0, 1.02, 1.01, 1.02, 1.0, 0.99, 1.0, 1.06, 1.10)
_HOURS = (1.0, 2.0, 3.2, 4.4, 5.6, 6.4, 6.9, 6.6, 6.4, 7.2, 8.4, 9.4, 8.6, 6.8, 5.2, 3.8, 2.4, 1.2)  # from OPENS_AT_H


def day_weight(day: date) -> float:
    """Return how much is sold on a day against an ordinary one; Christmas is closed."""
    return _WEEKDAYS[day.weekday()] * _MONTHS[day.month - 1] * _holiday(day)


@cache
def seconds_of_day() -> tuple[Fractions, Fractions]:
    """Return the opening hours' boundaries in seconds after midnight, and the share of sales before each."""
    edges = (OPENS_AT_H + np.arange(len(_HOURS) + 1, dtype=np.float64)) * 3_600
    return edges, np.concatenate([np.zeros(1), rising_sum(_HOURS)])


def easter(year: int) -> date:
    """Return Easter Sunday by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    leap = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * leap) // 433
    month = (h + leap - 7 * m + 90) // 25
    return date(year, month, (h + leap - 7 * m + 33 * month + 19) % 32)


def thanksgiving(year: int) -> date:
    """Return the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 21)


def _holiday(day: date) -> float:
    return _holidays(day.year).get(day, 1.0)


@cache
def _holidays(year: int) -> dict[date, float]:
    around = {
        thanksgiving(year): (1.25, 1.45, 1.75, 0.35),  # the three days before, then the day itself
        easter(year): (1.0, 1.15, 1.35, 0.4),
        date(year, 7, 4): (1.1, 1.2, 1.4, 0.7),
        date(year, 12, 25): (1.3, 1.45, 1.3, 0.0),
        date(year, 12, 31): (1.0, 1.0, 1.1, 1.3),
    }
    factors = {date(year, 1, 1): 0.6}
    for day, values in around.items():
        for before, factor in zip((3, 2, 1, 0), values, strict=True):
            factors[day - timedelta(days=before)] = factor
    return factors
