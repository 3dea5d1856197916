"""The calendar a sentence refers to: months, weekdays, holidays, each resolved to its latest past occurrence."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import date, timedelta

from serve_apps.understanding.query import Days

DAY = timedelta(days=1)

_MONTHS = (
    "january|jan|janurary|januray",
    "february|feb|febuary|feburary",
    "march|mar",
    "april|apr",
    "may",
    "june|jun",
    "july|jul",
    "august|aug",
    "september|sept|sep|setpember|septmeber",
    "october|oct|ocotber|octobar",
    "november|nov|novemeber|novmber|novembr",
    "december|dec|decemeber|decmber",
)
_WEEKDAYS = (
    "monday|mon|munday",
    "tuesday|tues|tue|tusday|teusday|tuseday",
    "wednesday|weds|wed|wensday|wednsday|wendesday|wedensday",
    "thursday|thurs|thur|thu|thrusday|thursay|thirsday",
    "friday|fri|firday|frday",
    "saturday|sat|saterday|satuday|saturady",
    "sunday|sun|sunady|sundy",
)


def _numbers(groups: tuple[str, ...], start: int) -> dict[str, int]:
    return {name: i for i, names in enumerate(groups, start) for name in names.split("|")}


MONTHS = _numbers(_MONTHS, 1)
WEEKDAYS = _numbers(_WEEKDAYS, 0)
MONTH = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
MONTH_STUCK = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})(?:\b\.?|(?=\d))"  # nov3
WEEKDAY = rf"(?:{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})\b\.?"


def month_day(month: int, day: int, today: date, year: int | None = None) -> Days | None:
    """Return that day of that year, or its latest occurrence not after today; None for a day that never is."""
    years = [year] if year else range(today.year, today.year - 9, -1)  # 29 February may lie 8 years back
    for candidate in years:
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year or found <= today:
            return Days(found, found)
    return None


def day_of_month(day: int, today: date) -> Days | None:
    """Return the latest day with that number not after today."""
    year, month = today.year, today.month
    for _ in range(4):  # at most two months in a row lack a day
        if day <= calendar.monthrange(year, month)[1] and date(year, month, day) <= today:
            found = date(year, month, day)
            return Days(found, found)
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
    return None


def whole_month(month: int, today: date, year: int | None = None) -> Days:
    """Return the latest month of that name that has begun."""
    year = year or (today.year if month <= today.month else today.year - 1)
    return Days(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def months_back(today: date, count: int) -> Days:
    """Return the whole calendar month so many months before today's."""
    index = today.year * 12 + today.month - 1 - count
    return whole_month(index % 12 + 1, today, index // 12)


def weekday_before(weekday: int, today: date) -> date:
    """Return the latest such weekday before today (0 is Monday)."""
    return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)


def week(today: date, back: int = 0) -> Days:
    """Return the week, Monday to Sunday, so many weeks before today's."""
    monday = today - timedelta(days=today.weekday() + 7 * back)
    return Days(monday, monday + 6 * DAY)


def weekend(today: date, back: int = 0) -> Days:
    """Return the latest Saturday and Sunday that have begun, or one so many weeks before."""
    saturday = today - timedelta(days=(today.weekday() - 5) % 7 + 7 * back)
    return Days(saturday, saturday + DAY)


def holiday(name: str, today: date) -> date:
    """Return the latest occurrence, not after today, of a name from HOLIDAYS."""
    rule = HOLIDAYS[name]
    return next(day for year in (today.year, today.year - 1) if (day := rule(year)) <= today)


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _nth(month: int, weekday: int, nth: int, after: int = 0) -> Callable[[int], date]:
    """Return a rule for the nth weekday of a month (-1 the last), moved by some days."""

    def rule(year: int) -> date:
        days = [d for d in calendar.Calendar().itermonthdates(year, month) if d.month == month]
        return [d for d in days if d.weekday() == weekday][nth - 1 if nth > 0 else nth] + timedelta(days=after)

    return rule


def _easter(after: int = 0) -> Callable[[int], date]:
    """Return a rule for Easter Sunday (the anonymous Gregorian computus), moved by some days."""

    def rule(year: int) -> date:
        a, b, c = year % 19, year // 100, year % 100
        d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
        e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
        f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
        return date(year, f // 31, f % 31 + 1) + timedelta(days=after)

    return rule


# Patterns of names, each with the rule of its year.
HOLIDAYS: dict[str, Callable[[int], date]] = {
    r"new year'?s?'? eve|nye": _fixed(12, 31),
    r"new year'?s?'?(?: day)?": _fixed(1, 1),
    r"(?:mlk|martin luther king)(?: jr\.?)?(?: day)?": _nth(1, 0, 3),
    r"groundhog day": _fixed(2, 2),
    r"super ?bowl(?: sunday)?": _nth(2, 6, 2),
    r"valentine'?s?'?(?: day)?": _fixed(2, 14),
    r"president'?s'? day": _nth(2, 0, 3),
    r"(?:fat tuesday|mardi gras)": _easter(-47),
    r"ash wednesday": _easter(-46),
    r"(?:st\.?|saint) (?:patrick|patty|paddy)'?s?(?: day)?": _fixed(3, 17),
    r"palm sunday": _easter(-7),
    r"good friday": _easter(-2),
    r"easter(?: sunday)?": _easter(),
    r"easter monday": _easter(1),
    r"cinco de mayo": _fixed(5, 5),
    r"mother'?s'? day": _nth(5, 6, 2),
    r"memorial day": _nth(5, 0, -1),
    r"father'?s'? day": _nth(6, 6, 3),
    r"juneteenth": _fixed(6, 19),
    r"(?:the )?(?:4th|fourth) of july|july (?:4th|fourth)|independence day": _fixed(7, 4),
    r"labou?r day": _nth(9, 0, 1),
    r"(?:columbus|indigenous people'?s'?) day": _nth(10, 0, 2),
    r"halloween|haloween|halloweeen|hallowe'en|holloween": _fixed(10, 31),
    r"election day": _nth(11, 0, 1, 1),
    r"veteran'?s?'? day": _fixed(11, 11),
    r"thanks ?giving(?: day)?|turkey day(?! before| after)|thanksgivng|thanskgiving": _nth(11, 3, 4),
    r"black friday": _nth(11, 3, 4, 1),
    r"cyber monday": _nth(11, 3, 4, 4),
    r"(?:christmas|xmas|x-mas) eve": _fixed(12, 24),
    r"(?:christmas|xmas|x-mas)(?: day)?": _fixed(12, 25),
    r"thanksgiving eve": _nth(11, 3, 4, -1),
    r"small business saturday": _nth(11, 3, 4, 2),
    r"april fool'?s'?(?: day)?": _fixed(4, 1),
    r"earth day": _fixed(4, 22),
    r"tax day": _fixed(4, 15),
    r"flag day": _fixed(6, 14),
    r"grandparent'?s'? day": _nth(9, 0, 1, 6),
    r"boxing day|day after christmas": _fixed(12, 26),
}
