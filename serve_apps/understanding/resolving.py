"""What a date phrase means on a given day: one function for each form of phrase."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from serve_apps.understanding import almanac
from serve_apps.understanding.almanac import DAY, MONTHS, WEEKDAYS
from serve_apps.understanding.numerals import number, ordinal
from serve_apps.understanding.query import Days

Resolver = Callable[[re.Match[str], date], Days | None]

_VAGUE_COUNTS = {"a couple": 2, "couple": 2, "a few": 3, "few": 3, "several": 5}
_PARTS = {"early": (1, 10), "mid": (11, 20), "late": (21, 31), "first": (1, 15), "second": (16, 31)}
_SPAN_OF_UNIT = {"d": 1, "w": 7, "m": 30, "y": 365}  # by its first letter: wks


def year_of(m: re.Match[str]) -> int | None:
    """Return the year a phrase names, or None."""
    groups = m.groupdict()
    text = groups.get("y") or groups.get("yy")
    return None if not text else int(text) if len(text) == 4 else 2000 + int(text)


def month_of(m: re.Match[str]) -> int:
    """Return the number of the month it names."""
    return MONTHS[m["m"].rstrip(".")]


def weekday_of(m: re.Match[str]) -> int:
    """Return the weekday it names, 0 for Monday."""
    return WEEKDAYS[m["w"].rstrip(".")]


def counted(m: re.Match[str]) -> tuple[int, bool]:
    """Return how many, and whether that was vague."""
    text = re.sub(r"\s+of$", "", m["n"])
    return (_VAGUE_COUNTS[text], True) if text in _VAGUE_COUNTS else (int(number(text)), False)


def on_day(day: date) -> Days:
    """Return that day alone."""
    return Days(day, day)


def calendar_date(m: re.Match[str], today: date) -> Days | None:
    """Resolve "10/21" and "2026-10-21"."""
    year = year_of(m)
    return almanac.month_day(int(m["mm"]), int(m["dd"]), today, year)


def days_of_month(m: re.Match[str], today: date) -> Days | None:
    """Resolve "Nov 3-5": the month is said once."""
    last = almanac.month_day(month_of(m), ordinal(m["e"]), today, year_of(m))
    if last is None or last.last is None:
        return None
    first = almanac.month_day(month_of(m), ordinal(m["d"]), last.last, last.last.year)
    return Days(first.first, last.last) if first and first.first and first.first <= last.last else None


def slash_days(m: re.Match[str], today: date) -> Days | None:
    """Resolve "11/3-5"."""
    last = almanac.month_day(int(m["mm"]), int(m["e"]), today)
    if last is None or last.last is None:
        return None
    first = almanac.month_day(int(m["mm"]), int(m["dd"]), last.last)
    return Days(first.first, last.last) if first else None


def named_month(m: re.Match[str], today: date) -> Days:
    """Return the month that a phrase names: by name, or this or last month."""
    name = m["m"].rstrip(".")
    if name in MONTHS:
        year = today.year - 1 if m.groupdict().get("ly") else year_of(m)
        return almanac.whole_month(MONTHS[name], today, year)
    return almanac.months_back(today, 1 if name.startswith("last") else 0)


def last_month_named(m: re.Match[str], today: date) -> Days:
    """In November, "last November" is the one a year ago."""
    is_a_year_ago = m[0].startswith("last") and month_of(m) == today.month and year_of(m) is None
    return almanac.whole_month(month_of(m), today, today.year - 1 if is_a_year_ago else year_of(m))


def day_in(m: re.Match[str], today: date) -> Days | None:
    """Resolve "the 3rd of November" and "the 3rd of last month"."""
    month = named_month(m, today)
    assert month.first  # a month has both ends
    name = m["m"].rstrip(".")
    if name in MONTHS:
        return almanac.month_day(MONTHS[name], ordinal(m["d"]), today, year_of(m))
    return almanac.month_day(month.first.month, ordinal(m["d"]), today, month.first.year)


def part_of_month(m: re.Match[str], today: date) -> Days:
    """Resolve "early March"."""
    month = named_month(m, today)
    assert month.first  # a month has both ends
    assert month.last
    word = m["part"]
    key = next((k for k in _PARTS if word.startswith(k)), None)
    key = key or ("mid" if word.startswith("mid") else "late" if word.startswith(("end", "back", "tail")) else "early")
    low, high = _PARTS[key]
    return Days(month.first.replace(day=low), month.first.replace(day=min(high, month.last.day)))


def week_of_month(m: re.Match[str], today: date) -> Days:
    """Resolve "the first week of October"."""
    month = named_month(m, today)
    assert month.first  # a month has both ends
    assert month.last
    if m["o"] == "last":
        last = Days(month.last - 6 * DAY, month.last)
    else:
        low = 7 * (ordinal(m["o"]) - 1) + 1
        last = Days(month.first.replace(day=low), month.first.replace(day=min(low + 6, month.last.day)))
    if m["kind"] == "week" or last.first is None:
        return last
    saturday = last.first + timedelta(days=(5 - last.first.weekday()) % 7)
    return Days(saturday, saturday + DAY)


def weekday_of_month(m: re.Match[str], today: date) -> Days | None:
    """Resolve "the first Saturday in October"."""
    month = named_month(m, today)
    assert month.first  # a month has both ends
    assert month.last
    if m["o"] == "last":
        return on_day(almanac.weekday_before(weekday_of(m), month.last + DAY))
    first = almanac.weekday_before(weekday_of(m), month.first + 7 * DAY)
    day = first + timedelta(weeks=ordinal(m["o"]) - 1)
    return on_day(day) if day <= month.last else None


def ago(m: re.Match[str], today: date) -> Days:
    """Resolve "3 days ago" to that day; weeks, and a few days, to some days about it."""
    count, vague = counted(m)
    unit = m["u"][0]
    day = today - timedelta(days=min(count, 3_000) * _SPAN_OF_UNIT[unit])
    slack = {"d": 2 if vague else 0, "w": 2}.get(unit, 7)
    return Days(day - slack * DAY, min(day + slack * DAY, today))


def ago_between(m: re.Match[str], today: date) -> Days:
    """Resolve "3 or 4 days ago" and "a week or two ago"."""
    low = counted(m)[0]
    high = {"so": low, "more": low + 1}.get(m["n2"]) or int(number(m["n2"]))
    low, high = sorted((low, high))
    slack = _SPAN_OF_UNIT[m["u"][0]] // 3 if m["n2"] in {"so", "more"} else 0
    first, last = (min(count, 3_000) * _SPAN_OF_UNIT[m["u"][0]] for count in (high, low))
    return Days(today - timedelta(days=first + slack), min(today - timedelta(days=last - slack), today))


def weeks_from(m: re.Match[str], today: date) -> Days:
    """Resolve "a week ago yesterday"."""
    seen_from = {"yesterday": -1, "last night": -1, "tomorrow": 1}.get(m["from"], 0)
    return on_day(today + timedelta(days=seen_from - 7 * min(counted(m)[0], 400)))


def season(m: re.Match[str], today: date) -> Days:
    """Return the latest season of that name that has begun, as meteorologists count them: three whole months."""
    month = {"spring": 3, "summer": 6, "winter": 12}.get(m["season"], 9)
    first = almanac.whole_month(month, today).first
    assert first  # a month has both ends
    if m[0].startswith("last") and first <= today < first + timedelta(days=92):
        first = first.replace(year=first.year - 1)
    last = almanac.whole_month((month + 1) % 12 + 1, today, first.year + (month == 12)).last
    return Days(first, last)


def weekend_of(m: re.Match[str], today: date) -> Days | None:
    """Return Saturday and Sunday of the week in which a day lies."""
    groups = m.groupdict()
    month = int(groups["mm"]) if groups.get("mm") else MONTHS[groups["m"].rstrip(".")] if groups.get("m") else None
    day = ordinal(m["d"])
    found = almanac.month_day(month, day, today) if month else almanac.day_of_month(day, today)
    if found is None or found.first is None:
        return None
    saturday = found.first + timedelta(days=5 - found.first.weekday())
    return Days(saturday, saturday + DAY)


def past(m: re.Match[str], today: date) -> Days:
    """Resolve "the last ten days"."""
    count = counted(m)[0] if m["n"] else 1
    return Days(today - timedelta(days=min(count, 3_000) * _SPAN_OF_UNIT[m["u"][0]]), today)


def weekday_of_week(m: re.Match[str], today: date) -> Days:
    """Resolve "Tuesday of last week"."""
    back = 2 if "before" in m[0] else 0 if "this week" in m[0] else 1
    first = almanac.week(today, back).first
    assert first  # a week has both ends
    return on_day(first + timedelta(days=weekday_of(m)))


def part_of_week(m: re.Match[str], today: date) -> Days:
    """Resolve "early last week"."""
    first = almanac.week(today, 1).first
    assert first  # a week has both ends
    low, high = {"e": (0, 2), "b": (0, 2), "s": (0, 2), "m": (1, 3)}.get(m["part"][:1], (3, 6))
    if m["part"].startswith("end"):
        low, high = 3, 6
    return Days(first + low * DAY, first + high * DAY)


def weekday_weeks_ago(m: re.Match[str], today: date) -> Days:
    """Resolve "a week ago Friday"."""
    return on_day(almanac.weekday_before(weekday_of(m), today) - timedelta(weeks=min(counted(m)[0], 400)))


def weekdays_ago(m: re.Match[str], today: date) -> Days:
    """Resolve "two Fridays ago"."""
    return on_day(almanac.weekday_before(weekday_of(m), today) - timedelta(weeks=min(counted(m)[0], 400) - 1))


def since_monday(m: re.Match[str], today: date) -> Days:
    """Resolve "earlier this week"."""
    start = almanac.week(today).first if "week" in m[0] else today.replace(day=1)
    return Days(start, today)


def holiday(pattern: str) -> Resolver:
    """Return how a holiday is resolved, with a year or without."""

    def resolve(m: re.Match[str], today: date) -> Days:
        year = year_of(m)
        day = almanac.HOLIDAYS[pattern](year) if year else almanac.holiday(pattern, today)
        return on_day(day - DAY if "eve of" in m[0] else day)

    return resolve


def holiday_weekend(pattern: str) -> Resolver:
    """Return how a holiday's weekend is resolved."""

    def resolve(_: re.Match[str], today: date) -> Days:
        day = almanac.holiday(pattern, today)
        if day.weekday() == 0:
            return Days(day - 2 * DAY, day)
        if day.weekday() == 3:  # Thanksgiving
            return Days(day, day + 3 * DAY)
        saturday = day + timedelta(days=(5 - day.weekday() + 3) % 7 - 3)
        return Days(min(saturday, day), max(saturday + DAY, day))

    return resolve
