"""Single date phrases ("the 17th", "Tuesday before last", "early March"), each with how it is resolved."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from serve_apps.understanding import almanac, resolving
from serve_apps.understanding.almanac import DAY, MONTH, MONTH_STUCK, WEEKDAY, WEEKDAYS
from serve_apps.understanding.numerals import ORDINAL_WORDS, WORDS, ordinal
from serve_apps.understanding.query import Days


class DayName(NamedTuple):
    """One form of date phrase."""

    pattern: re.Pattern[str]
    resolve: resolving.Resolver
    vague: bool = False  # means some days about it
    is_weekday: bool = False  # may only narrow the phrase beside it


_DAY = rf"(?P<d>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?|{ORDINAL_WORDS})"
_YEAR = r"(?:,?\s+(?P<y>20\d\d)|,?\s*'(?P<yy>\d\d))?"
_COUNT = rf"(?P<n>\d{{1,3}}|{WORDS}|an?(?: couple(?: of)?| few)?|couple(?: of)?|few|several)"
_UNIT = r"(?P<u>days?|weeks?|wks?|months?|mos?|years?|yrs?)"
_NOT_A_DAY = r"(?!(?!ish\b)[\w:]|[./]\d|\s*(?:%|bucks|dollars|pm|am\b|lbs?\b|oz\b|pack|items?\b))"
_OTHER_USES = r"(?!\s*(?:street|st\b|ave|avenue|floor|grade|birthday|one\b|time\b|lane|aisle))"
_WHEN = r"(?:\s+(?:early\s+|late\s+)?(?:in the\s+)?(?:morning|afternoon|evening|night|nite|lunchtime|noon)\b)?"


def _fixed(choose: Callable[[date], Days]) -> resolving.Resolver:
    return lambda _, today: choose(today)


def _name(pattern: str, resolve: resolving.Resolver, *, vague: bool = False, is_weekday: bool = False) -> DayName:
    return DayName(re.compile(rf"(?<![\w$/.]){pattern}"), resolve, vague, is_weekday)


def _holidays() -> list[DayName]:
    names: list[DayName] = []
    for pattern in almanac.HOLIDAYS:
        names.append(
            _name(
                rf"(?:(?:the\s+)?eve of\s+)?(?:{pattern})\b(?:,?\s+(?:of\s+)?(?P<y>20\d\d))?",
                resolving.holiday(pattern),
            )
        )
        names.append(_name(rf"(?:{pattern})\s+(?:day\s+)?(?:weekend|wknd|wkend)\b", resolving.holiday_weekend(pattern)))
    return names


_MONTH_OR_THIS = rf"(?P<m>{MONTH}|this month|the month|last month)"
_CUED_MONTH = (
    r"(?:(?<=in )|(?<=during )|(?<=of )|(?<=since )|(?<=from )|(?<=before )|(?<=after )|(?<=around )|(?<=until ))"
)
_ORD = rf"(?P<d>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)|{ORDINAL_WORDS})"
_ORD_OR_DAY = rf"{_DAY}"
_LAST = r"(?:(?:on\s+)?(?:last|this past|past|this|previous|this last)\s+)?"
_WD = rf"(?P<w>{WEEKDAY})"

# One phrase a line reads as the table it is.
# fmt: off
NAMES: tuple[DayName, ...] = (
    _name(r"(?P<y>20\d\d)[-/](?P<mm>\d\d?)[-/](?P<dd>\d\d?)(?!\d)", resolving.calendar_date),
    _name(r"(?P<mm>1[0-2]|0?[1-9])/(?P<dd>3[01]|[12]\d|0?[1-9])(?:/(?P<y>20\d\d)|/(?P<yy>\d\d))?(?![\d/]|\s*(?:lb|gal|cup|pound|dozen|off\b|price|oz|inch|pint|of a))", resolving.calendar_date),
    _name(r"(?P<mm>1[0-2]|0?[1-9])/(?P<dd>3[01]|[12]\d|0?[1-9])\s*-\s*(?P<e>3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)", resolving.slash_days),
    _name(r"(?P<mm>1[0-2]|0?[1-9])([-.])(?P<dd>3[01]|[12]\d|0?[1-9])\2(?:(?P<y>20\d\d)|(?P<yy>\d\d))(?!\d)", resolving.calendar_date),
    _name(r"(?:^|(?<=, )|(?<=; )|(?<=/ )|(?<=date ))(?P<mm>1[0-2]|0?[1-9])-(?P<dd>3[01]|[12]\d|0[1-9])(?=\s*(?:[,;/]|$))", resolving.calendar_date),
    _name(r"(?:(?<=on )|(?<=dated ))(?P<mm>1[0-2]|0?[1-9])-(?P<dd>3[01]|[12]\d|0?[1-9])(?![\d-])", resolving.calendar_date),
    _name(rf"(?P<m>{MONTH_STUCK})\s*(?:the\s+)?{_DAY}{_NOT_A_DAY}{_YEAR}", resolving.day_in),
    _name(rf"(?P<m>{MONTH})\s*(?:the\s+)?{_DAY}\s*(?:-|to|or|and|&|/|thru|through|until)\s*(?:the\s+)?(?P<e>(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?|{ORDINAL_WORDS}){_NOT_A_DAY}{_YEAR}", resolving.days_of_month),
    _name(rf"(?:the\s+)?{_DAY}\s+(?:day\s+)?of\s+{_MONTH_OR_THIS}{_YEAR}", resolving.day_in),
    _name(rf"(?:the\s+)?{_ORD}\s+(?P<m>{MONTH}){_YEAR}", resolving.day_in),
    _name(rf"{_DAY}\s+(?P<m>(?!may\b|march\b|mar\b){MONTH})(?!\s+\d{{1,2}}(?![\d:])){_YEAR}", resolving.day_in),
    _name(r"(?:the\s+)?first of the month\b", lambda _, today: almanac.day_of_month(1, today)),
    _name(rf"(?:the\s+)?(?P<part>early(?: in| part of)?|mid(?:dle)?(?: of)?|late(?: in)?|beginning(?: of)?|start(?: of)?|end(?: of)?|tail end of|first (?:half|part) of|second half of|back half of)[-\s]+(?:the\s+)?{_MONTH_OR_THIS}{_YEAR}", resolving.part_of_month),
    _name(rf"(?:the\s+)?(?P<o>last|1st|2nd|3rd|4th|first|second|third|fourth)\s+(?P<kind>week|weekend)\s+(?:of|in)\s+{_MONTH_OR_THIS}{_YEAR}", resolving.week_of_month),
    _name(rf"(?:on\s+)?(?:the\s+)?(?P<o>last|1st|2nd|3rd|4th|first|second|third|fourth)\s+{_WD}\s+(?:of|in)\s+{_MONTH_OR_THIS}{_YEAR}{_WHEN}", resolving.weekday_of_month),
    _name(rf"{_CUED_MONTH}(?P<m>{MONTH})(?:\s+(?:of\s+)?(?P<ly>last year))?{_YEAR}", resolving.named_month),
    _name(rf"(?:last|this past|this|back in|past)\s+(?P<m>{MONTH}){_YEAR}", resolving.last_month_named),
    _name(rf"(?P<m>(?!may\b|mar\b|march\b|april\b|june\b|august\b|jan\b){MONTH})(?:\s+(?:of\s+)?(?P<ly>last year))?{_YEAR}", resolving.named_month),
    _name(rf"(?P<m>{MONTH})\s+(?:of\s+)?(?:(?P<ly>last year)|(?P<y>20\d\d))", resolving.named_month),
    _name(rf"(?:on\s+)?(?:the\s+)?{_ORD}\b{_OTHER_USES}(?<!first)(?<!second)(?<!third)(?<!fourth)(?<!fifth){_WHEN}", lambda m, today: almanac.day_of_month(ordinal(m["d"]), today)),
    _name(r"(?:on\s+)?(?:the\s+)(?P<d>(?:twenty|thirty)[-\s](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))\b", lambda m, today: almanac.day_of_month(ordinal(m["d"]), today)),
    _name(r"(?:on\s+)?the\s+(?P<d>first|second|third|fourth|fifth)\b(?!\s+(?!at\b|in\b|from\b|for\b|and\b|or\b|to\b|with\b)\w)", lambda m, today: almanac.day_of_month(ordinal(m["d"]), today)),
    _name(rf"(?:the\s+)?{_WD}\s+before last\b{_WHEN}", lambda m, today: resolving.on_day(almanac.weekday_before(resolving.weekday_of(m), today) - 7 * DAY)),
    _name(rf"(?:last (?:week|wk)|the week before last|this week),?\s+(?:on\s+)?(?:'?s\s+)?{_WD}{_WHEN}", resolving.weekday_of_week),
    _name(rf"(?:on\s+)?{_WD},?{_WHEN}\s+(?:of\s+|in\s+)?(?:last (?:week|wk)|the week before last|this week)\b", resolving.weekday_of_week),
    _name(rf"{_COUNT}\s+(?:weeks?|wks?)\s+ago\s+(?:on\s+|last\s+|this past\s+)?{_WD}{_WHEN}", resolving.weekday_weeks_ago),
    _name(rf"{_WD}\s+{_COUNT}\s+(?:weeks?|wks?)\s+ago", resolving.weekday_weeks_ago),
    _name(rf"(?P<n>two|three|four|2|3|4)\s+(?P<w>(?:{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))}))s\s+(?:ago|back)", resolving.weekdays_ago),
    _name(rf"{_LAST}(?:on\s+)?{_WD}(?!-|\s*(?:dried|chips?\b|screen|block|butter|maid|kist|lotion)){_WHEN}", lambda m, today: resolving.on_day(almanac.weekday_before(resolving.weekday_of(m), today)), is_weekday=True),
    _name(r"(?:earlier\s+)?today\b|this (?:morning|afternoon|evening)\b|tonight\b|just now\b", _fixed(resolving.on_day)),
    _name(r"(?:yesterday|yesturday|yesterdy|yeserday|yest\b\.?|last (?:night|nite|evening))" + _WHEN, _fixed(lambda today: resolving.on_day(today - DAY))),
    _name(r"yesterday,?\s+or\s+(?:maybe\s+)?the (?:day|night) before(?: that| yesterday)?\b", _fixed(lambda today: Days(today - 2 * DAY, today - DAY))),
    _name(r"(?:today|tonight|this morning),?\s+or\s+(?:maybe\s+)?(?:yesterday|last night)\b", _fixed(lambda today: Days(today - DAY, today))),
    _name(r"(?:the\s+)?(?:day before yesterday|(?:night|nite|evening) before last)\b" + _WHEN, _fixed(lambda today: resolving.on_day(today - 2 * DAY))),
    _name(r"(?:the\s+)?other (?:day|night|evening)\b", _fixed(lambda today: resolving.on_day(today - 3 * DAY)), vague=True),
    _name(r"recently\b|lately\b|these days\b", _fixed(lambda today: Days(today - 14 * DAY, today))),
    _name(rf"{_COUNT}\s*(?:-|to|or|/)\s*(?P<n2>\d{{1,3}}|{WORDS}|so)\s+{_UNIT}\s+(?:ago|back|earlier)\b", resolving.ago_between),
    _name(rf"{_COUNT}\s+{_UNIT}\s+or\s+(?P<n2>so|two|three|more)\s+(?:ago|back|earlier)\b", resolving.ago_between),
    _name(rf"{_COUNT}\s+(?:weeks?|wks?)\s+ago\s+(?P<from>yesterday|today|tomorrow|tonight|last night)\b", resolving.weeks_from),
    _name(rf"{_COUNT}\s+(?:night|nite|evening|morning)s?\s+(?:ago|back)\b", lambda m, today: resolving.on_day(today - timedelta(days=min(resolving.counted(m)[0], 3_000)))),
    _name(rf"{_COUNT}\s+weekends?\s+(?:ago|back)\b", lambda m, today: almanac.weekend(today, min(resolving.counted(m)[0], 150) - 1)),
    _name(r"the other week\b", _fixed(lambda today: Days(today - 14 * DAY, today - 5 * DAY))),
    _name(rf"(?:not\s+)?(?:this past|last|this)\s+{_WD},?\s+but\s+(?:the\s+)?(?:one|{WEEKDAY})\s+before(?:\s+(?:that|it))?\b", lambda m, today: resolving.on_day(almanac.weekday_before(resolving.weekday_of(m), today) - 7 * DAY)),
    _name(r"(?:sat(?:urday)?)\s*(?:/|&|-|\band\b)\s*(?:sun(?:day)?)\b\.?", _fixed(almanac.weekend)),
    _name(r"(?:(?:this past|last|this|in the|over the|during the|back in the)\s+)(?P<season>spring|summer|fall|autumn|winter)\b", resolving.season),
    _name(r"(?P<y>20[12]\d)(?P<mm>0[1-9]|1[0-2])(?P<dd>0[1-9]|[12]\d|3[01])(?!\d)", resolving.calendar_date),
    _name(rf"(?:the\s+)?weekend\s+of\s+(?:the\s+)?(?:(?P<m>{MONTH})\s*(?:the\s+)?)?{_ORD_OR_DAY}", resolving.weekend_of),
    _name(r"(?:the\s+)?weekend\s+of\s+(?P<mm>1[0-2]|0?[1-9])/(?P<d>3[01]|[12]\d|0?[1-9])", resolving.weekend_of),
    _name(r"(?:^|(?<=, )|(?<=; )|(?<=/ ))(?P<m>april|august|june|march|mar|jan|may)(?=\s*(?:[,;]|$|/|receipts?\b|purchase\b))", resolving.named_month),
    _name(rf"{_COUNT}\s+{_UNIT}\s+(?:ago|back|earlier)\b", resolving.ago),
    _name(r"(?P<n>a)\s+fortnight ago\b", _fixed(lambda today: resolving.on_day(today - 14 * DAY)), vague=True),
    _name(rf"(?:(?:with)?in|over|during|for)?\s*(?:the\s+)?(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}\b", resolving.past),
    _name(r"(?:(?:with)?in|over|during|for)\s+the\s+(?:last|past)(?P<n>)\s+(?P<u>day|week|month|year)\b", resolving.past),
    _name(r"(?:this\s+)?past(?P<n>)\s+(?P<u>week|month|year)\b", resolving.past),
    _name(r"this week\b", _fixed(lambda today: Days(almanac.week(today).first, today))),
    _name(r"earlier this (?:week|month)\b", resolving.since_monday),
    _name(r"(?:the\s+)?last (?:week|wk)\b(?!\s+of)", _fixed(lambda today: almanac.week(today, 1))),
    _name(r"(?:the\s+)?(?P<part>early|late|mid(?:dle)?(?: of)?|beginning of|start of|end of)\s+(?:in\s+)?last week\b", resolving.part_of_week),
    _name(r"(?:the\s+)?(?:week before last)\b", _fixed(lambda today: almanac.week(today, 2))),
    _name(r"(?:over\s+)?(?:the\s+)?(?:(?:this past|this|last|past)\s+)?(?:weekend|wknd|wkend)\b(?!\s+(?:of|in)\b)", _fixed(almanac.weekend)),
    _name(r"(?:the\s+)?(?:weekend|wknd|wkend) before last\b", _fixed(lambda today: almanac.weekend(today, 1))),
    _name(r"this month\b", _fixed(lambda today: Days(today.replace(day=1), today))),
    _name(r"(?:the\s+)?last month\b", _fixed(lambda today: almanac.months_back(today, 1))),
    _name(r"(?:the\s+)?month before last\b", _fixed(lambda today: almanac.months_back(today, 2))),
    _name(r"this year\b", _fixed(lambda today: Days(date(today.year, 1, 1), today))),
    _name(r"last year\b", _fixed(lambda today: Days(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)))),
    _name(r"(?:(?<=in )|(?<=of )|(?<=during ))(?P<y>20[0-4]\d)\b", lambda m, _: Days(date(int(m["y"]), 1, 1), date(int(m["y"]), 12, 31))),
    *_holidays(),
)
# fmt: on
