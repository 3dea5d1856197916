"""When a privacy request must be confirmed and answered, by the law under which it was made."""

from __future__ import annotations

from calendar import MONDAY, THURSDAY, monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_CONFIRM_BUSINESS_DAYS = 10
_CCPA_DAYS = 45
_SATURDAY = 5

# The holidays of the United States (5 U.S.C. §6103(a)) but Inauguration Day, which Washington alone has: month and day,
# or month, weekday and which of them, -1 for the last.
_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
_MOVING = (
    (1, MONDAY, 3),  # Martin Luther King, Jr.
    (2, MONDAY, 3),  # Washington's Birthday
    (5, MONDAY, -1),  # Memorial Day
    (9, MONDAY, 1),  # Labor Day
    (10, MONDAY, 2),  # Columbus Day
    (11, THURSDAY, 4),  # Thanksgiving
)


class Law(StrEnum):
    """The laws that requests are made under."""

    GDPR = "gdpr"
    CCPA = "ccpa"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The last days on which something is in time; `confirm_by` is none where the law sets none."""

    confirm_by: date | None
    due_on: date
    extended_due_on: date  # if its delay, with the reasons, is told by `due_on`


def deadlines_of(law: Law, received_on: date) -> Deadlines:
    """Return the deadlines of a request by the day on which it came in, which itself is not counted.

    GDPR, article 12(3): one month from receipt, extended by two further months where necessary, of which the person is
    told with reasons within the first. A month ends on the day of the same date, or on the last day of a month that has
    none (Regulation 1182/71, article 3(2)(c)). That it may end later at a weekend or holiday (article 3(4)) is left
    out: holidays are those of each member state, and early is in time everywhere.

    CCPA, Cal. Civ. Code §1798.130(a)(2)(A) and 11 CCR §7021: confirmed within ten business days of receipt; answered
    within 45 calendar days of receipt, however long it takes to verify who asks; extended once by 45 more, with notice
    and reasons within the first 45.
    """
    if law is Law.GDPR:
        return Deadlines(None, _months_after(received_on, 1), _months_after(received_on, 3))
    return Deadlines(
        business_days_after(received_on, _CONFIRM_BUSINESS_DAYS),
        received_on + timedelta(days=_CCPA_DAYS),
        received_on + timedelta(days=2 * _CCPA_DAYS),
    )


def business_days_after(day: date, count: int) -> date:
    """Return the day that is so many business days after another: neither weekend nor federal holiday."""
    while count:
        day += timedelta(days=1)
        count -= _is_business_day(day)
    return day


def federal_holidays(year: int) -> set[date]:
    """Return the days on which a year's holidays are kept; one of them may lie in the year before.

    One that falls on a Saturday is kept on Friday (5 U.S.C. §6103(b)), on a Sunday on Monday (Executive Order 11582).
    """
    fixed = (date(year, month, day) for month, day in _FIXED)
    moving = (_nth_weekday(year, *rule) for rule in _MOVING)
    return {_kept(day) for day in fixed} | set(moving)


def _is_business_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in federal_holidays(day.year) | federal_holidays(day.year + 1)


def _kept(day: date) -> date:
    shift = {_SATURDAY: -1, _SATURDAY + 1: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _nth_weekday(year: int, month: int, weekday: int, which: int) -> date:
    if which < 0:
        last = date(year, month, monthrange(year, month)[1])
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))


def _months_after(day: date, count: int) -> date:
    years, month = divmod(day.month - 1 + count, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
