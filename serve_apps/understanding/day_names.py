"""Single date phrases ("the 17th", "Tuesday before last", "early March"), each with how it is resolved."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from serve_apps.understanding import almanac
from serve_apps.understanding.almanac import DAY, MONTH, MONTHS, WEEKDAY, WEEKDAYS
from serve_apps.understanding.numerals import ORDINAL_WORDS, WORDS, number, ordinal
from serve_apps.understanding.query import Days

Resolver = Callable[[re.Match[str], date], Days | None]


class DayName(NamedTuple):
    """One form of date phrase."""

    pattern: re.Pattern[str]
    resolve: Resolver
    vague: bool = False  # means some days about it
    is_weekday: bool = False  # may only narrow the phrase beside it


_DAY = rf"(?P<d>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?|{ORDINAL_WORDS})"
_YEAR = r"(?:,?\s+(?P<y>20\d\d)|,?\s*'(?P<yy>\d\d))?"
_COUNT = rf"(?P<n>\d{{1,3}}|{WORDS}|an?(?: couple(?: of)?| few)?|couple(?: of)?|few|several)"
_UNIT = r"(?P<u>day|week|month|year)s?"
_NOT_A_DAY = r"(?![\w:]|[./]\d|\s*(?:%|bucks|dollars|pm|am\b|lbs?\b|oz\b|pack|items?\b))"
_OTHER_USES = r"(?!\s*(?:street|st\b|ave|avenue|floor|grade|birthday|one\b|time\b|lane|aisle))"
_WHEN = r"(?:\s+(?:early\s+|late\s+)?(?:in the\s+)?(?:morning|afternoon|evening|night|nite|lunchtime|noon)\b)?"
_VAGUE_COUNTS = {"a couple": 2, "couple": 2, "a few": 3, "few": 3, "several": 5}
_PARTS = {"early": (1, 10), "mid": (11, 20), "late": (21, 31), "first": (1, 15), "second": (16, 31)}
_SPAN_OF_UNIT = {"day": 1, "week": 7, "month": 30, "year": 365}


def _year(m: re.Match[str]) -> int | None:
    groups = m.groupdict()
    text = groups.get("y") or groups.get("yy")
    return None if not text else int(text) if len(text) == 4 else 2000 + int(text)


def _month(m: re.Match[str]) -> int:
    return MONTHS[m["m"].rstrip(".")]


def _weekday(m: re.Match[str]) -> int:
    return WEEKDAYS[m["w"].rstrip(".")]


def _count(m: re.Match[str]) -> tuple[int, bool]:
    """Return how many, and whether that was vague."""
    text = re.sub(r"\s+of$", "", m["n"])
    return (_VAGUE_COUNTS[text], True) if text in _VAGUE_COUNTS else (int(number(text)), False)


def _one(day: date) -> Days:
    return Days(day, day)


def _calendar_date(m: re.Match[str], today: date) -> Days | None:
    year = _year(m)
    return almanac.month_day(int(m["mm"]), int(m["dd"]), today, year)


def _days_of_month(m: re.Match[str], today: date) -> Days | None:
    """Resolve "Nov 3-5": the month is said once."""
    last = almanac.month_day(_month(m), ordinal(m["e"]), today, _year(m))
    if last is None or last.last is None:
        return None
    first = almanac.month_day(_month(m), ordinal(m["d"]), last.last, last.last.year)
    return Days(first.first, last.last) if first and first.first and first.first <= last.last else None


def _slash_days(m: re.Match[str], today: date) -> Days | None:
    last = almanac.month_day(int(m["mm"]), int(m["e"]), today)
    if last is None or last.last is None:
        return None
    first = almanac.month_day(int(m["mm"]), int(m["dd"]), last.last)
    return Days(first.first, last.last) if first else None


def _named_month(m: re.Match[str], today: date) -> Days:
    """Return the month that a phrase names: by name, or this or last month."""
    name = m["m"].rstrip(".")
    if name in MONTHS:
        year = today.year - 1 if m.groupdict().get("ly") else _year(m)
        return almanac.whole_month(MONTHS[name], today, year)
    return almanac.months_back(today, 0 if name.startswith("this") else 1)


def _last_month_named(m: re.Match[str], today: date) -> Days:
    """In November, "last November" is the one a year ago."""
    is_a_year_ago = m[0].startswith("last") and _month(m) == today.month and _year(m) is None
    return almanac.whole_month(_month(m), today, today.year - 1 if is_a_year_ago else _year(m))


def _day_in(m: re.Match[str], today: date) -> Days | None:
    month = _named_month(m, today)
    assert month.first  # a month has both ends
    name = m["m"].rstrip(".")
    if name in MONTHS:
        return almanac.month_day(MONTHS[name], ordinal(m["d"]), today, _year(m))
    return almanac.month_day(month.first.month, ordinal(m["d"]), today, month.first.year)


def _part_of_month(m: re.Match[str], today: date) -> Days:
    month = _named_month(m, today)
    assert month.first  # a month has both ends
    assert month.last
    word = m["part"]
    key = next((k for k in _PARTS if word.startswith(k)), None)
    key = key or ("mid" if word.startswith("mid") else "late" if word.startswith(("end", "back", "tail")) else "early")
    low, high = _PARTS[key]
    return Days(month.first.replace(day=low), month.first.replace(day=min(high, month.last.day)))


def _week_of_month(m: re.Match[str], today: date) -> Days:
    month = _named_month(m, today)
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


def ago(m: re.Match[str], today: date) -> Days:
    """Resolve "3 days ago" to that day; weeks, and a few days, to some days about it."""
    count, vague = _count(m)
    unit = m["u"]
    day = today - timedelta(days=min(count, 3_000) * _SPAN_OF_UNIT[unit])
    slack = {"day": 2 if vague else 0, "week": 2}.get(unit, 7)
    return Days(day - slack * DAY, min(day + slack * DAY, today))


def _past(m: re.Match[str], today: date) -> Days:
    count = _count(m)[0] if m["n"] else 1
    return Days(today - timedelta(days=min(count, 3_000) * _SPAN_OF_UNIT[m["u"]]), today)


def _weekday_of_week(m: re.Match[str], today: date) -> Days:
    back = 2 if "before" in m[0] else 0 if "this week" in m[0] else 1
    first = almanac.week(today, back).first
    assert first  # a week has both ends
    return _one(first + timedelta(days=_weekday(m)))


def _part_of_week(m: re.Match[str], today: date) -> Days:
    first = almanac.week(today, 1).first
    assert first  # a week has both ends
    low, high = {"e": (0, 2), "b": (0, 2), "s": (0, 2), "m": (1, 3)}.get(m["part"][:1], (3, 6))
    if m["part"].startswith("end"):
        low, high = 3, 6
    return Days(first + low * DAY, first + high * DAY)


def _weekday_weeks_ago(m: re.Match[str], today: date) -> Days:
    return _one(almanac.weekday_before(_weekday(m), today) - timedelta(weeks=min(_count(m)[0], 400)))


def _weekdays_ago(m: re.Match[str], today: date) -> Days:
    return _one(almanac.weekday_before(_weekday(m), today) - timedelta(weeks=min(_count(m)[0], 400) - 1))


def _since_monday(m: re.Match[str], today: date) -> Days:
    start = almanac.week(today).first if "week" in m[0] else today.replace(day=1)
    return Days(start, today)


def _holiday_weekend(pattern: str) -> Resolver:
    def resolve(_: re.Match[str], today: date) -> Days:
        day = almanac.holiday(pattern, today)
        if day.weekday() == 0:
            return Days(day - 2 * DAY, day)
        if day.weekday() == 3:  # Thanksgiving
            return Days(day, day + 3 * DAY)
        saturday = day + timedelta(days=(5 - day.weekday() + 3) % 7 - 3)
        return Days(min(saturday, day), max(saturday + DAY, day))

    return resolve


def _fixed(choose: Callable[[date], Days]) -> Resolver:
    return lambda _, today: choose(today)


def _name(pattern: str, resolve: Resolver, *, vague: bool = False, is_weekday: bool = False) -> DayName:
    return DayName(re.compile(rf"(?<![\w$/.]){pattern}"), resolve, vague, is_weekday)


def _holidays() -> list[DayName]:
    names: list[DayName] = []
    for pattern in almanac.HOLIDAYS:
        names.append(_name(rf"(?:{pattern})\b", lambda _, today, p=pattern: _one(almanac.holiday(p, today))))
        names.append(_name(rf"(?:{pattern})\s+(?:day\s+)?weekend\b", _holiday_weekend(pattern)))
    return names


_MONTH_OR_THIS = rf"(?P<m>{MONTH}|this month|last month)"
_CUED_MONTH = (
    r"(?:(?<=in )|(?<=during )|(?<=of )|(?<=since )|(?<=from )|(?<=before )|(?<=after )|(?<=around )|(?<=until ))"
)
_ORD = rf"(?P<d>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)|{ORDINAL_WORDS})"
_LAST = r"(?:(?:on\s+)?(?:last|this past|past|this|previous|this last)\s+)?"
_WD = rf"(?P<w>{WEEKDAY})"

# One phrase a line reads as the table it is.
# fmt: off
NAMES: tuple[DayName, ...] = (
    _name(r"(?P<y>20\d\d)[-/](?P<mm>\d\d?)[-/](?P<dd>\d\d?)(?!\d)", _calendar_date),
    _name(r"(?P<mm>1[0-2]|0?[1-9])/(?P<dd>3[01]|[12]\d|0?[1-9])(?:/(?P<y>20\d\d)|/(?P<yy>\d\d))?(?![\d/]|\s*(?:lb|gal|cup|pound|dozen|off\b|price|oz|inch|pint|of a))", _calendar_date),
    _name(r"(?P<mm>1[0-2]|0?[1-9])/(?P<dd>3[01]|[12]\d|0?[1-9])\s*-\s*(?P<e>3[01]|[12]\d|0?[1-9])(?![\d/])", _slash_days),
    _name(r"(?P<mm>1[0-2]|0?[1-9])([-.])(?P<dd>3[01]|[12]\d|0?[1-9])\2(?:(?P<y>20\d\d)|(?P<yy>\d\d))(?!\d)", _calendar_date),
    _name(r"(?:(?<=on )|(?<=dated ))(?P<mm>1[0-2]|0?[1-9])-(?P<dd>3[01]|[12]\d|0?[1-9])(?![\d-])", _calendar_date),
    _name(rf"(?P<m>{MONTH})\s*(?:the\s+)?{_DAY}{_NOT_A_DAY}{_YEAR}", _day_in),
    _name(rf"(?P<m>{MONTH})\s*(?:the\s+)?{_DAY}\s*(?:-|to|or|and|&|/|thru|through|until)\s*(?:the\s+)?(?P<e>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?|{ORDINAL_WORDS}){_NOT_A_DAY}{_YEAR}", _days_of_month),
    _name(rf"(?:the\s+)?{_DAY}\s+(?:day\s+)?of\s+{_MONTH_OR_THIS}{_YEAR}", _day_in),
    _name(rf"(?:the\s+)?{_ORD}\s+(?P<m>{MONTH}){_YEAR}", _day_in),
    _name(rf"{_DAY}\s+(?P<m>(?!may\b|march\b|mar\b){MONTH}){_YEAR}", _day_in),
    _name(r"(?:the\s+)?first of the month\b", lambda _, today: almanac.day_of_month(1, today)),
    _name(rf"(?:the\s+)?(?P<part>early(?: in| part of)?|mid(?:dle)?(?: of)?|late(?: in)?|beginning(?: of)?|start(?: of)?|end(?: of)?|tail end of|first (?:half|part) of|second half of|back half of)[-\s]+(?:the\s+)?{_MONTH_OR_THIS}{_YEAR}", _part_of_month),
    _name(rf"(?:the\s+)?(?P<o>last|1st|2nd|3rd|4th|first|second|third|fourth)\s+(?P<kind>week|weekend)\s+(?:of|in)\s+{_MONTH_OR_THIS}{_YEAR}", _week_of_month),
    _name(rf"{_CUED_MONTH}(?P<m>{MONTH})(?:\s+(?:of\s+)?(?P<ly>last year))?{_YEAR}", _named_month),
    _name(rf"(?:last|this past|this|back in|past)\s+(?P<m>{MONTH}){_YEAR}", _last_month_named),
    _name(rf"(?P<m>(?!may\b|mar\b|march\b|april\b|june\b|august\b|jan\b){MONTH})(?:\s+(?:of\s+)?(?P<ly>last year))?{_YEAR}", _named_month),
    _name(rf"(?P<m>{MONTH})\s+(?:of\s+)?(?:(?P<ly>last year)|(?P<y>20\d\d))", _named_month),
    _name(rf"(?:on\s+)?(?:the\s+)?{_ORD}\b{_OTHER_USES}(?<!first)(?<!second)(?<!third)(?<!fourth)(?<!fifth){_WHEN}", lambda m, today: almanac.day_of_month(ordinal(m["d"]), today)),
    _name(r"(?:on\s+)?the\s+(?P<d>first|second|third|fourth|fifth)\b(?!\s+(?!at\b|in\b|from\b|for\b|and\b|or\b|to\b|with\b)\w)", lambda m, today: almanac.day_of_month(ordinal(m["d"]), today)),
    _name(rf"(?:the\s+)?{_WD}\s+before last\b{_WHEN}", lambda m, today: _one(almanac.weekday_before(_weekday(m), today) - 7 * DAY)),
    _name(rf"(?:last week|the week before last|this week),?\s+(?:on\s+)?(?:'?s\s+)?{_WD}{_WHEN}", _weekday_of_week),
    _name(rf"(?:on\s+)?{_WD},?{_WHEN}\s+(?:of\s+|in\s+)?(?:last week|the week before last|this week)\b", _weekday_of_week),
    _name(rf"{_COUNT}\s+weeks?\s+ago\s+(?:on\s+|last\s+|this past\s+)?{_WD}{_WHEN}", _weekday_weeks_ago),
    _name(rf"{_WD}\s+{_COUNT}\s+weeks?\s+ago", _weekday_weeks_ago),
    _name(rf"(?P<n>two|three|four|2|3|4)\s+(?P<w>(?:{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))}))s\s+ago", _weekdays_ago),
    _name(rf"{_LAST}(?:on\s+)?{_WD}(?!-|\s*(?:dried|chips?\b|screen|block|butter|maid|kist|lotion)){_WHEN}", lambda m, today: _one(almanac.weekday_before(_weekday(m), today)), is_weekday=True),
    _name(r"(?:earlier\s+)?today\b|this (?:morning|afternoon|evening)\b|tonight\b|just now\b", _fixed(_one)),
    _name(r"(?:yesterday|yesturday|yesterdy|yeserday|yest\b\.?|last (?:night|nite|evening))" + _WHEN, _fixed(lambda today: _one(today - DAY))),
    _name(r"(?:the\s+)?(?:day before yesterday|night before last)\b" + _WHEN, _fixed(lambda today: _one(today - 2 * DAY))),
    _name(r"(?:the\s+)?other (?:day|night|evening)\b", _fixed(lambda today: _one(today - 3 * DAY)), vague=True),
    _name(r"recently\b|lately\b|these days\b", _fixed(lambda today: Days(today - 14 * DAY, today))),
    _name(rf"{_COUNT}\s+{_UNIT}\s+(?:ago|back|earlier)\b", ago),
    _name(r"(?P<n>a)\s+fortnight ago\b", _fixed(lambda today: _one(today - 14 * DAY)), vague=True),
    _name(rf"(?:(?:with)?in|over|during|for)?\s*(?:the\s+)?(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}\b", _past),
    _name(r"(?:(?:with)?in|over|during|for)\s+the\s+(?:last|past)(?P<n>)\s+(?P<u>day|week|month|year)\b", _past),
    _name(r"(?:this\s+)?past(?P<n>)\s+(?P<u>week|month|year)\b", _past),
    _name(r"this week\b", _fixed(lambda today: Days(almanac.week(today).first, today))),
    _name(r"earlier this (?:week|month)\b", _since_monday),
    _name(r"(?:the\s+)?last week\b(?!\s+of)", _fixed(lambda today: almanac.week(today, 1))),
    _name(r"(?:the\s+)?(?P<part>early|late|mid(?:dle)?(?: of)?|beginning of|start of|end of)\s+(?:in\s+)?last week\b", _part_of_week),
    _name(r"(?:the\s+)?(?:week before last)\b", _fixed(lambda today: almanac.week(today, 2))),
    _name(r"(?:over\s+)?(?:the\s+)?(?:(?:this past|this|last|past)\s+)?weekend\b(?!\s+(?:of|in)\b)", _fixed(almanac.weekend)),
    _name(r"(?:the\s+)?weekend before last\b", _fixed(lambda today: almanac.weekend(today, 1))),
    _name(r"this month\b", _fixed(lambda today: Days(today.replace(day=1), today))),
    _name(r"(?:the\s+)?last month\b", _fixed(lambda today: almanac.months_back(today, 1))),
    _name(r"(?:the\s+)?month before last\b", _fixed(lambda today: almanac.months_back(today, 2))),
    _name(r"this year\b", _fixed(lambda today: Days(date(today.year, 1, 1), today))),
    _name(r"last year\b", _fixed(lambda today: Days(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)))),
    _name(r"(?:(?<=in )|(?<=of )|(?<=during ))(?P<y>20[0-4]\d)\b", lambda m, _: Days(date(int(m["y"]), 1, 1), date(int(m["y"]), 12, 31))),
    *_holidays(),
)
# fmt: on
