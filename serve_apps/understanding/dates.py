"""When a sentence says a purchase was: date phrases, what stands before and after them, and ranges of two."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

from receipts.products import singular
from serve_apps.understanding import almanac, resolving
from serve_apps.understanding.almanac import DAY
from serve_apps.understanding.day_names import NAMES, DayName
from serve_apps.understanding.numerals import WORDS, number
from serve_apps.understanding.query import Days, Kind, Mention
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.word_lists import retail_words

_SLACK = 2 * DAY  # what a vague date means
_WORD_BEFORE = r"(?:(?:on|the|in|at|of|day of)\s+)*$"
_HOLIDAY_CUE = re.compile(
    r"(?:\b(?:on|since|before|after|around|last|past|about|during|over|until|of|till|this|from)\s+(?:the\s+)?)$"
)
_GOES_ON = re.compile(r"[ ]+(?!morning\b|evening\b|night\b|nite\b|eve\b|day\b|week\b)(?P<word>[a-z][a-z'-]*)")
_TO = re.compile(
    r"[\s,]*(?:\s(?:to|through|thru|until|till|til|and|or|thr)\s|-|/|&|\.\.\.?)\s*(?:the\s+|on\s+|maybe\s+)*$"
)
_BESIDE = re.compile(r"[\s,(]*(?:(?:on|of|the|in|a|maybe|probably|possibly|sometime|i think)\s+)*[\s,(]*$")
_SIDE = re.compile(r"\s+(?:right\s+|just\s+)?(?P<side>before|after)\s+(?:the\s+)?")
_MORNING = re.compile(r"\s+(?:early\s+|late\s+)?(?:in the\s+)?(?:morning|afternoon|evening|night|nite|lunchtime)\b")
_AFTERWARDS = re.compile(r"\s*(?:onwards?|or later|or after|and later|or newer|or since)\b|\s*\+")
_BEFOREHAND = re.compile(r"\s*(?:or earlier|or before|and before)\b")
_ABOUT_AFTER = re.compile(
    r"\s*-?\s*(?:ish\b|or so\b|or thereabouts\b|give or take(?: a (?:day|few days|couple days))?\b)"
)
_ABOUT = re.compile(
    r"(?:(?:some\s*(?:time|where)\s+)?(?:around|about|approximately|approx\.?|roughly|near|circa|close to|like around))\s+"
    + _WORD_BEFORE
)
_FILLER = re.compile(
    r"(?:\b(?:some\s?time|maybe|probably|possibly|on|in|during|back|i think|from|over|dated|it was|the|around)\s+)+$"
)
_COUNTED = re.compile(
    rf"(?P<n>\d{{1,3}}|{WORDS}|an?|couple(?: of)?|a few|few)\s+(?P<u>day|week)s?\s+(?P<side>before|after|prior to)\s+{_WORD_BEFORE}"
)
_THE_UNIT = re.compile(
    r"(?:the\s+)?(?P<u>day|night|week|weekend|morning|evening)\s+(?P<side>before|after|following|prior to)\s+"
    + _WORD_BEFORE
)
_JUST = re.compile(
    r"(?:right|just|shortly|immediately|a few days|few days|a couple(?: of)? days)\s+(?P<side>before|after|prior to)\s+"
    + _WORD_BEFORE
)
_WEEK_OF = re.compile(r"(?:the\s+)?(?:week|wk)\s+(?:of|starting|beginning)\s+(?:the\s+)?$")
_BEFORE = re.compile(
    r"(?:any\s*time\s+|(?P<on>on\s+or\s+))?(?<!no )(?:before|prior to|earlier than|ahead of|no later than)\s+"
    + _WORD_BEFORE
)
_AFTER = re.compile(r"(?:any\s*time\s+)?(?<!no )(?:after|following|later than)\s+" + _WORD_BEFORE)
_SINCE = re.compile(
    r"(?:any\s*time\s+)?(?:since|starting|as of|beginning|on\s+or\s+after|no\s+earlier\s+than|not\s+before)\s+"
    + _WORD_BEFORE
)
_UNTIL = re.compile(r"(?:until|till|up to|up until|through|by)\s+" + _WORD_BEFORE)
_RANGE_START = re.compile(r"(?:some\s?time\s+|anytime\s+|anywhere\s+)?(?:between|from|btwn|betw\.?)\s+(?:the\s+)?$")
_DENIED = re.compile(r"\b(?:not|isn'?t|wasn'?t)\s+(?:(?:on|the|at)\s+)*$")
_CORRECTED = re.compile(
    r"\b(?:no,?\s+wait|wait,?\s+no|no,\s+sorry|sorry,?|scratch\s+that|correction|i\s+mean|make\s+that|or\s+rather|rather)\b[\s,:-]*(?:it\s+was\s+)?(?:on\s+|the\s+)*$"
)
_HOUR = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_CLOCK = re.compile(
    rf"(?<=\ue000)\s*(?:at|around|about|near)\s+(?:{_HOUR})\s+(?:thirty|fifteen|forty[- ]five|o'?\s?clock)\b|"
    r"(?:(?:at|around|about|near|like|by|approx)\s+)?(?:(?<![\w$.:/-])\d{1,2}(?::\d\d)?\s*(?:-|to|and)\s*)?"
    r"(?:(?<![\w$.:/-])\d{1,2}(?::\d\d)?\s*(?:am\b|pm\b|a\.m\.?|p\.m\.?|o'?\s?clock\b)|(?<![\w$./])\d{1,2}:\d\d(?!\d))(?:ish)?"
    r"|(?:(?:at|around|about|before|after|in the)\s+)(?:noon|midnight|lunch\s?time|dinner\s?time|closing)\b"
    r"|\b(?:late|early|mid)?[- ]?(?:in the\s+)?(?:morning|afternoon|evening)s?\b"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase on the slate; `name` is None once it is more than a single phrase."""

    start: int
    end: int
    days: Days
    name: DayName | None = None


def find_days(slate: Slate, today: date) -> tuple[Days | None, Mention | None, Slate]:
    """Return the days a sentence speaks of, where it does, and the slate with every date and time covered.

    The first phrase decides. Dates lie in the past: each resolves to its latest occurrence not after `today`.
    """
    phrases = _joined(slate, _phrases(slate, today), today)
    chosen: tuple[Days, _Found] | None = None
    for phrase in phrases:
        start, end, days = _modified(slate.left, phrase, today)
        denied = _DENIED.search(slate.left[:start])
        if chosen is not None and (both := _bounded(chosen[0], days, slate.left[chosen[1].end : start])):
            chosen = both, replace(chosen[1], end=end)
        elif chosen is None or _CORRECTED.search(slate.left[chosen[1].end : start]):
            chosen = chosen if denied else (days, replace(phrase, start=start, end=end))
        slate = slate.cover(start, end)
    for clock in list(_CLOCK.finditer(slate.left)):
        slate = slate.cover(*clock.span())
    if chosen is None:
        return None, None, slate
    days, at = chosen
    said = slate.said(at.start, at.end)
    first, last = (day.isoformat() if day else "" for day in (days.first, days.last))
    mention = Mention(Kind.DATE, said, first if first == last else f"{first}..{last}", (at.start, at.end))
    return days, mention, slate


def _bounded(one: Days, other: Days, between: str) -> Days | None:
    """Join "after the 5th" and "before the 10th"."""
    if not re.fullmatch(r"[\s,]*(?:but|and)?[\s,]*", between):
        return None
    if other.first is None and one.first is not None and other.last is not None and one.first <= other.last:
        return Days(one.first, other.last)
    if one.first is None and one.last is not None and other.first is not None and other.first <= one.last:
        return Days(other.first, one.last)
    return None


def _phrases(slate: Slate, today: date) -> list[_Found]:
    """Return single phrases, the longest at each place, none overlapping."""
    every: list[_Found] = []
    for name in NAMES:
        for m in name.pattern.finditer(slate.left):
            days = name.resolve(m, today)
            if days is not None and m.end() > m.start() and not _is_product(slate.left, m):
                every.append(_Found(m.start(), m.end(), days, name))
    every.sort(key=lambda f: (f.start - f.end, f.start))
    kept: list[_Found] = []
    for found in every:
        if all(found.end <= other.start or found.start >= other.end for other in kept):
            kept.append(found)
    return sorted(kept, key=lambda f: f.start)


def _is_product(left: str, m: re.Match[str]) -> bool:
    """Say whether a holiday's name only describes a thing: halloween candy, for christmas."""
    name = m[0]
    is_holiday = any(re.fullmatch(pattern, name) for pattern in almanac.HOLIDAYS) and not re.search(
        r"\d|day\b|eve\b", name
    )
    if not is_holiday or _HOLIDAY_CUE.search(left[: m.start()]):
        return False
    following = _GOES_ON.match(left, m.end())
    is_goods = following is not None and singular(following["word"]) in retail_words()
    return is_goods or bool(re.search(r"\bfor\s+$", left[: m.start()]))


def _joined(slate: Slate, phrases: list[_Found], today: date) -> list[_Found]:
    """Join neighbours: a weekday beside a date narrows it, and two with "to" between are a range."""
    joined: list[_Found] = []
    for phrase in phrases:
        between = slate.left[joined[-1].end : phrase.start] if joined else ""
        if joined and _TO.match(between or "x"):
            before = joined.pop()
            joined.append(_range(slate.left, before, phrase, today))
        elif joined and (side := _SIDE.fullmatch(between)) and joined[-1].name and joined[-1].name.is_weekday:
            before = joined.pop()
            joined.append(_Found(before.start, phrase.end, _weekday_beside(before, side["side"], phrase, today)))
        elif joined and _BESIDE.match(between) and _has_weekday(joined[-1], phrase):
            before = joined.pop()
            joined.append(_Found(before.start, phrase.end, _narrowed(before, phrase)))
        else:
            joined.append(phrase)
    return joined


def _has_weekday(*phrases: _Found) -> bool:
    return any(phrase.name is not None and phrase.name.is_weekday for phrase in phrases)


def _narrowed(one: _Found, other: _Found) -> Days:
    weekday, wide = (one, other) if one.name is not None and one.name.is_weekday else (other, one)
    first, last = wide.days.first, wide.days.last
    if first is None or last is None or first == last or weekday.days.first is None:
        return wide.days
    same = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    same = [day for day in same if day.weekday() == weekday.days.first.weekday()]
    return Days(same[-1], same[-1]) if same else wide.days


def _weekday_beside(weekday: _Found, side: str, phrase: _Found, today: date) -> Days:
    """Resolve "the Wednesday before Halloween", and the one after."""
    which = (weekday.days.first or today).weekday()
    if side == "before":
        day = almanac.weekday_before(which, phrase.days.first or today)
    else:
        day = almanac.weekday_before(which, (phrase.days.last or today) + 8 * DAY)
    return Days(day, day)


def _range(left: str, one: _Found, other: _Found, today: date) -> _Found:
    """Resolve the earlier end again as seen from the later one: "between the 20th and the 5th"."""
    first, last = one.days.first, other.days.last
    if first and last and first > last and one.name is not None:
        again = one.name.pattern.match(left, one.start)
        # One day later, because a weekday lies before the day it is seen from.
        days = one.name.resolve(again, last + DAY) if again else None
        first = days.first if days else first
    if first and last and first > last:
        first, last = last, first
    return _Found(one.start, other.end, Days(first, min(last, today) if last and first and first <= today else last))


def _modified(left: str, found: _Found, today: date) -> tuple[int, int, Days]:
    """Apply what stands before and after a phrase; return where it all begins and ends and the days meant."""
    start, end, days = found.start, found.end, found.days
    vague = found.name is not None and found.name.vague
    if m := _MORNING.match(left, end):
        end = m.end()
    before = left[:start]
    if m := _RANGE_START.search(before):
        start = m.start()
    elif changed := _prefixed(before, days, today):
        start, days = changed
    elif m := _ABOUT.search(before):
        start, vague = m.start(), True
    if m := _ABOUT_AFTER.match(left, end):
        end, vague = m.end(), True
    elif m := _AFTERWARDS.match(left, end):
        end, days = m.end(), Days(days.first, today)
    elif m := _BEFOREHAND.match(left, end):
        end, days = m.end(), Days(None, days.last)
    if vague and not (found.name is not None and found.name.resolve is resolving.ago and days.first != days.last):
        days = _widened(days, today)
    if m := _FILLER.search(left[:start]):
        start = m.start()
    return start, end, days


def _prefixed(before: str, days: Days, today: date) -> tuple[int, Days] | None:
    """Read "two days before", "the week after", "right before", "week of", "since" and their like."""
    first, last = days.first or date.min, days.last or today
    if m := _COUNTED.search(before):
        words = re.sub(r"\s+of$", "", m["n"])
        vague = words in {"couple", "a few", "few"}
        count = {"couple": 2, "a few": 3, "few": 3}.get(words) or int(number(words))
        by = timedelta(days=min(count, 400) * (7 if m["u"] == "week" else 1))
        day = last + by if m["side"] == "after" else first - by
        slack = _SLACK if vague or m["u"] == "week" else 0 * DAY
        return m.start(), Days(day - slack, min(day + slack, today))
    if m := _JUST.search(before):
        after = m["side"] == "after"
        return m.start(), Days(last + DAY, min(last + 3 * DAY, today)) if after else Days(first - 3 * DAY, first - DAY)
    if m := _THE_UNIT.search(before):
        return m.start(), _unit_beside(m, first, last)
    if m := _WEEK_OF.search(before):
        return m.start(), almanac.week(first)
    if m := _BEFORE.search(before):
        return m.start(), Days(None, last if "no later" in m[0] or m["on"] else first - DAY)
    if m := _SINCE.search(before):
        return m.start(), Days(days.first, today)
    if m := _AFTER.search(before):
        return m.start(), Days(last + DAY, max(today, last + DAY))
    if m := _UNTIL.search(before):
        return m.start(), Days(None, last)
    return None


def _unit_beside(m: re.Match[str], first: date, last: date) -> Days:
    after = m["side"] in {"after", "following"}
    if m["u"] == "week":
        return almanac.week(last + 7 * DAY) if after else almanac.week(first - 7 * DAY)
    if m["u"] == "weekend":
        return almanac.weekend(last + 7 * DAY) if after else almanac.weekend(first - DAY)
    day = last + DAY if after else first - DAY
    return Days(day, day)


def _widened(days: Days, today: date) -> Days:
    first = days.first - _SLACK if days.first else None
    return Days(first, min(days.last + _SLACK, today) if days.last else None)
