"""How much a sentence says was paid; dates, times and identifiers are covered already."""

from __future__ import annotations

import re

from serve_apps.understanding.numerals import TENS, WORDS, number
from serve_apps.understanding.query import Cents, Kind, Mention
from serve_apps.understanding.slate import Slate

_SLACK = 1_000  # "around" means ten dollars
_MOST = 10**9  # beyond it nobody means a receipt

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,7})(?:\.\d{1,2})?(?:k\b)?|\.\d\d"
_CURRENCY = r"\s*(?:dollars?|bucks?|usd|\$)"
_SPOKEN_CENTS = (
    rf"(?:\s+(?:and\s+)?(?P<c>\d\d?|{WORDS})\s+cents?"
    r"|(?<=dollars)\s+(?:and\s+)?(?P<c2>ten|fifteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine))?)"
    r"(?=\s+(?:for|on|at|in|from)\b|\s*(?:[,;.]|$)))?"
)
# What makes a bare number something else than money.
_COUNTS = (
    r"(?!\s*-?\s*(?:%|percent|lbs?\b|pounds?\b|oz\b|ounces?\b|g\b|kg\b|ml\b|l\b|liters?\b|ltr\b|gal|pints?\b|quarts?\b|packs?\b|pk\b|"
    r"ct\b|count\b|cans?\b|bottles?\b|bags?\b|box|boxes\b|items?\b|things?\b|days?\b|weeks?\b|months?\b|years?\b|hours?\b|hrs?\b|"
    r"minutes?\b|min\b|am\b|pm\b|people\b|kids?\b|inch|in\b\.|ft\b|dozen|pieces?\b|rolls?\b|cartons?\b|jars?\b|x\b|"
    r"receipts?\b|times?\b|visits?\b|off\b|st\b|nd\b|rd\b|th\b|year|cents?\b))(?![\w]|[-/]\d|\.\d|:\d)"
)
_MONEY = rf"(?:\$\s*(?:{_DIGITS})|(?:{_DIGITS}|(?:a\s+)?{WORDS}){_CURRENCY}\b)"
_BARE = rf"(?:(?<![\w$.#/-])(?:{_DIGITS}|{WORDS}\b))"
_VALUE = rf"(?:\$\s*)?(?:{_DIGITS}|{WORDS}\b)(?:{_CURRENCY}\b)?"

_ABOUT = (
    r"(?:some\s?where\s+)?(?:in\s+the\s+(?:neighborhood|ballpark|range|vicinity)\s+of|around|about|abt|approximately|approx\.?|roughly|nearly|"
    r"almost|close\s+to|near|like|circa|~|maybe|say|right\s+around|or\s+so)"
)
_UNDER = r"(?:under|not\s+over|no\s+over|less\s+th[ae]n|below|at\s+most|no\s+more\s+than|not\s+more\s+than|up\s+to|max(?:imum)?(?:\s+of)?|cheaper\s+than|<=?|beneath)"
_OVER = r"(?:over|more\s+th[ae]n|above|at\s+least|no\s+less\s+than|upwards?\s+of|north\s+of|min(?:imum)?(?:\s+of)?|>=?|exceeding|greater\s+than)"
_TOTAL = (
    r"(?:total(?:ed|led|ing|s)?(?:\s+(?:was|of|is|came\s+to|amount|about|=|:))?|spent|paid|paying|spending|came\s+(?:out\s+)?to|cost(?:s|ing)?|"
    r"rang\s+up(?:\s+(?:at|for))?|amount(?:\s+(?:was|of|is))?|charged?|bill(?:\s+(?:was|of))?|worth|price(?:d)?(?:\s+at)?|sum\s+of|was\s+it|it\s+was|purchase\s+of|receipt\s+(?:for|of))"
)
_AFTER_ABOUT = r"(?P<about_after>\s*-?\s*(?:ish\b|or\s+so\b|or\s+thereabouts\b|give\s+or\s+take\b(?:\s+a\s+few(?:\s+bucks|\s+dollars)?)?|\s+total\s+or\s+so\b))?"
_CHANGE = r"\s+(?:and|&|n)\s+(?:some\s+)?change\b"


_BETWEEN = re.compile(
    rf"(?:(?:some\s?where\s+|anywhere\s+)?(?:between|from|btwn)\s+(?P<a>{_VALUE})\s+(?:and|to|-|&)\s+(?P<b>{_VALUE}){_COUNTS}"
    rf"|(?<![\w.$/-])(?P<a2>{_VALUE})(?:\s+(?:to|or)\s+|(?<=\d)\s*-\s*(?=[\d$]))(?P<b2>{_VALUE}){_COUNTS})"
)
_SOMETHING = re.compile(
    rf"(?:(?P<hundreds>(?:(?:a|one|two|three|four|five|six|seven|eight|nine)\s+hundred))(?:[-\s]+and)?[-\s]+something\b(?:{_CURRENCY}\b)?|(?:in\s+the\s+)?\$?(?P<tens>{TENS})[-\s]?(?:something|some(?:thing)?|odd)\b(?:{_CURRENCY}\b)?"
    rf"|(?:in\s+the\s+(?:(?P<part>low|lower|mid|middle|high|upper)[-\s]+)?|(?P<part2>low|lower|mid|middle|high|upper)[-\s]+)\$?(?P<decade>twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties|[2-9]0'?s)\b)"
)
_EITHER_SIDE = re.compile(
    rf"(?<![\w.])(?P<v>{_VALUE})\s*(?:\+\s?/\s?-|±|plus\s+or\s+minus|give\s+or\s+take)\s*(?P<by>{_VALUE})"
)
_OVER_AND_UNDER = re.compile(
    rf"(?<!\w)(?:{_OVER})\s*(?P<a>{_VALUE})\s*,?\s*(?:but|and|yet)?\s*(?:{_UNDER})\s*(?P<b>{_VALUE}){_COUNTS}"
)
_RANGE_OF = re.compile(rf"\bin\s+the\s+(?P<v>{_VALUE})[-\s]+(?:range|area|neighborhood|ballpark)\b")
_AND_CHANGE = re.compile(rf"(?:\$\s*)?(?P<v>{_DIGITS}|{WORDS})(?:{_CURRENCY}\b)?{_CHANGE}")
_LIMIT = re.compile(rf"(?<!\w)(?:(?P<under>{_UNDER})|(?P<over>{_OVER}))\s*(?P<v>{_VALUE}){_COUNTS}{_AFTER_ABOUT}")
_JUST = re.compile(
    rf"(?<!\w)(?:just|slightly|a\s+(?:little|bit|hair|touch|tad)|barely)\s+(?:(?P<under>under|below|less\s+th[ae]n|shy\s+of|short\s+of)|(?P<over>over|above|more\s+th[ae]n|north\s+of))"
    rf"\s*(?P<v>{_VALUE}){_COUNTS}"
)
_LIMIT_AFTER = re.compile(
    rf"(?<![\w.])(?P<v>{_MONEY}|{_BARE})\s+(?:(?P<under>or\s+(?:less|under|below)|max\b|tops\b)|(?P<over>or\s+(?:more|over|above)|plus\b|minimum\b))"
    rf"|(?<![\w.])(?P<v2>{_MONEY}|{_BARE})(?P<over2>\+)(?![\w/])"
)
_ABOUT_VALUE = re.compile(
    rf"(?<!\w){_ABOUT}\s*(?:a\s+|an\s+|was\s+|total\s+)*(?P<v>{_VALUE}){_SPOKEN_CENTS}{_COUNTS}{_AFTER_ABOUT}"
)
_EXACT_MONEY = re.compile(
    rf"(?<![\w.])(?P<v>{_MONEY}){_SPOKEN_CENTS}(?![\w%]|\.\d){_AFTER_ABOUT}|(?<![\w.])(?P<only_cents>\d\d?|{WORDS})\s*(?:cents?\b|¢)"
)
_ISH = re.compile(rf"(?P<v>\$\s*(?:{_DIGITS})|{_BARE})(?P<about_after>\s*-?\s*(?:ish\b|or\s+so\b|or\s+thereabouts\b))")
_TOTAL_VALUE = re.compile(
    rf"\b{_TOTAL}\s*(?:was\s+|of\s+|me\s+|us\s+|him\s+|her\s+|exactly\s+|a\s+total\s+of\s+)*(?P<v>{_VALUE}){_COUNTS}{_AFTER_ABOUT}"
)
_DECIMAL = re.compile(rf"(?<![\w.,$#/-])(?P<v>(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,5}})\.\d\d){_COUNTS}{_AFTER_ABOUT}")
_TENS_UNITS = r"(?:twenty|thirty|forty|fourty|fifty|sixty|seventy|eighty|ninety)(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine))?"
_TEENS = r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)"
_HUNDRED_SPOKEN = re.compile(
    rf"\b(?P<h>one|two|three|four|five|six|seven|eight|nine)\s+(?P<d>{_TENS_UNITS}|{_TEENS})(?:\s+(?:and\s+)?(?P<cc>{_TENS_UNITS}|{_TEENS}))\b{_COUNTS}"
)
_SPOKEN = re.compile(
    rf"\b(?P<d>{_TENS_UNITS}|{_TEENS}|one|two|three|four|five|six|seven|eight|nine)\s+(?P<cc>{_TENS_UNITS}|{_TEENS})\b{_COUNTS}{_AFTER_ABOUT}"
)
_PARTS = {"low": (0, 400), "mid": (300, 700), "high": (600, 999), "upper": (600, 999)}
_TENS_BY_DECADE = {
    "twenties": 20,
    "thirties": 30,
    "forties": 40,
    "fifties": 50,
    "sixties": 60,
    "seventies": 70,
    "eighties": 80,
    "nineties": 90,
}


def find_cents(slate: Slate) -> tuple[Cents | None, Mention | None, Slate]:
    """Return the amount a sentence speaks of, where it does, and the slate with every amount covered."""
    chosen: tuple[Cents, Mention] | None = None
    for form, read in _FORMS:
        while m := form.search(slate.left):
            cents = read(m)
            if cents is not None and chosen is None:
                said = slate.said(*m.span())
                chosen = cents, Mention(Kind.AMOUNT, said.strip(), _shown(cents), m.span())
            slate = slate.cover(*m.span())
    return (*chosen, slate) if chosen else (None, None, slate)


def _cents(text: str) -> int:
    plain = re.sub(r"\b(?:dollars?|bucks?|usd)\b|\$", " ", text).strip()
    return min(round(number(re.sub(r"^a\s+(?!hundred)", "", plain)) * 100), _MOST)


def _with_cents(m: re.Match[str]) -> int:
    extra = m.groupdict().get("c") or m.groupdict().get("c2")
    return _cents(m["v"]) + (round(number(extra)) if extra else 0)


def _about(value: int) -> Cents:
    return Cents(max(value - _SLACK, 0), value + _SLACK)


def _read_either_side(m: re.Match[str]) -> Cents:
    value, by = _cents(m["v"]), _cents(m["by"])
    return Cents(max(value - by, 0), value + by)


def _read_hundred_spoken(m: re.Match[str]) -> Cents:
    value = round(number(m["h"]) * 10_000 + number(m["d"]) * 100 + number(m["cc"]))
    return Cents(value, value)


def _read_between(m: re.Match[str]) -> Cents | None:
    groups = m.groupdict()
    low, high = sorted((_cents(m["a"] or groups["a2"]), _cents(m["b"] or groups["b2"])))
    return Cents(low, high)


def _read_something(m: re.Match[str]) -> Cents:
    if m["hundreds"]:
        value = int(number(m["hundreds"])) * 100
        return Cents(value, value + 9_999)
    decade, part = m["decade"], m["part"] or m["part2"] or ""
    tens = int(number(m["tens"])) if m["tens"] else _TENS_BY_DECADE.get(decade) or int(decade[:2])
    low, high = next((ends for start, ends in _PARTS.items() if part.startswith(start)), (0, 999))
    return Cents(tens * 100 + low, tens * 100 + high)


def _read_change(m: re.Match[str]) -> Cents:
    value = _cents(m["v"]) // 100 * 100
    return Cents(value, value + 99)


def _read_limit(m: re.Match[str]) -> Cents:
    groups = m.groupdict()
    value = _cents(m["v"] or groups["v2"])
    return Cents(None, value) if m["under"] else Cents(value, None)


def _read_just(m: re.Match[str]) -> Cents:
    """Just under fifty is no five: as near as "around", on one side."""
    value = _cents(m["v"])
    return Cents(max(value - _SLACK, 0), value) if m["under"] else Cents(value, value + _SLACK)


def _read_exact(m: re.Match[str]) -> Cents:
    groups = m.groupdict()
    if groups.get("only_cents"):
        value = round(number(m["only_cents"]))
        return Cents(value, value)
    value = _with_cents(m)
    return _about(value) if groups.get("about_after") else Cents(value, value)


def _read_about(m: re.Match[str]) -> Cents:
    return _about(_with_cents(m))


def _read_spoken(m: re.Match[str]) -> Cents:
    value = round(number(m["d"]) * 100 + number(m["cc"]))
    return _about(value) if m["about_after"] else Cents(value, value)


def _shown(cents: Cents) -> str:
    low, high = (f"{value / 100:.2f}" if value is not None else "" for value in (cents.low, cents.high))
    return low if low == high else f"{low}..{high}"


_FORMS = (
    (_SOMETHING, _read_something),
    (_EITHER_SIDE, _read_either_side),
    (_OVER_AND_UNDER, _read_between),
    (_RANGE_OF, _read_about),
    (_AND_CHANGE, _read_change),
    (_BETWEEN, _read_between),
    (_JUST, _read_just),
    (_LIMIT, _read_limit),
    (_LIMIT_AFTER, _read_limit),
    (_ABOUT_VALUE, _read_about),
    (_EXACT_MONEY, _read_exact),
    (_ISH, _read_about),
    (_TOTAL_VALUE, _read_exact),
    (_DECIMAL, _read_exact),
    (_HUNDRED_SPOKEN, _read_hundred_spoken),
    (_SPOKEN, _read_spoken),
)
