"""Whose receipt it is: a name after a cue (named, Mrs., customer), or words that people are called by."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from receipts.products import singular
from receipts.text import normalise
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.word_lists import phrases, words

_TITLE = r"(?:mr|mrs|ms|miss|dr|mister|sir|madam|professor|prof|rev|reverend|sgt|officer|captain|capt)\b\.?"
_CUED = (
    re.compile(
        r"(?<!\w)(?:(?:(?:a|the|our)\s+)?(?:lady|guy|man|woman|customer|guest|shopper|gentleman|person|someone|somebody|lady's|member)\s+)?"
        r"(?:named|name\s+is|name's|name\s+was|name\s+of|called|by\s+the\s+name\s+of|under\s+the\s+name(?:\s+of)?|(?:first|last|sur)?\s?name\s*[:=-]|"
        rf"first\s+name|last\s+name|surname|name(?=\s+(?!is\b|was\b|of\b|on\b|and\b|for\b|under\b|brand\b)))(?:\s+is|\s+was)?\s*:?\s*(?:{_TITLE}\s+)?(?=[^\W\d_])"
    ),
    re.compile(rf"(?<!\w){_TITLE}\s+(?=[^\W\d_])"),
    re.compile(
        r"(?<!\w)(?:loyalty\s+)?(?:customer|guest|member|shopper|cust|cardholder|card\s*holder|account(?:\s*holder)?)(?:\s+is|\s+was|\s*:|\s+name\s*:?)?\s+(?=[^\W\d_])"
    ),
)  # fmt: skip
_FOR = re.compile(r"(?<!\w)(?:for|by|belongs\s+to|belonging\s+to|under|receipts?\s+of)\s+$")
_WORD = re.compile(r"[^\W\d_](?:[^\s,;:!?()\"\ue000/|=+*<>\[\]{}&#@$%]*[^\s,;:!?()\"\ue000/|=+*<>\[\]{}&#@$%.'\-])?\.?")
_PART = re.compile(r"[^\s,;:!?()\"\ue000]+")
_INITIALS = re.compile(r"(?:(?:[^\W\d_]\.){1,3}[^\W\d_]?|[^\W\d_])$")
_TITLE_AT_START = re.compile(rf"^{_TITLE}\s+")
_PARTICLES = frozenset(
    [
        "de",
        "la",
        "los",
        "las",
        "der",
        "den",
        "del",
        "della",
        "di",
        "da",
        "le",
        "van",
        "von",
        "st",
        "st.",
        "mc",
        "mac",
        "o'",
        "el",
        "al",
        "bin",
        "ibn",
    ]
)
_MOST_WORDS = 4  # of a name, without its particles


class _Word(NamedTuple):
    """A word of the slate: `bare` without genitive and full stop, `capital` where that says something.

    `plain` words are words before they are names; `joined` ones have only space between them and the word before.
    """

    start: int
    end: int
    text: str
    bare: str
    capital: bool
    plain: bool
    joined: bool


def find_person(
    slate: Slate, other_words: frozenset[str], is_place: Callable[[str], bool] = lambda _: False
) -> tuple[str | None, Mention | None, Slate]:
    """Return the person a sentence names, as written and without title, and the slate with the name covered.

    `other_words` are what products and stores are called: they are no names unless a cue or a capital says so, and
    what `is_place` is a store's name.
    """
    shown = slate
    for span in brand_spans(slate.left):
        shown = shown.cover(*span)
    every = _words(shown, other_words)
    for pattern in _CUED:
        for m in pattern.finditer(shown.left):
            at = next((i for i, word in enumerate(every) if word.start == m.end()), None)
            end = None if at is None else _end_after_cue(every, at)
            if end is not None:
                return _named(slate, m.start(), m.end(), end)
    for at in range(len(every)):
        last = _last_of_name(every, at, other_words)
        start = every[at].start
        if last is not None and not is_place(slate.left[start : every[last].end]):
            cue = _FOR.search(slate.left[:start])
            return _named(slate, cue.start() if cue else start, start, _end(every[last]))
    return None, None, slate


@lru_cache(maxsize=64)  # the same sentence is asked twice for people and once for products
def brand_spans(left: str) -> tuple[tuple[int, int], ...]:
    """Return where things stand that are called like people: Dr Pepper, Sam Adams."""
    parts = [(m.start(), m.end(), _brand_key(m[0])) for m in _PART.finditer(left)]
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(parts):
        counts = range(min(_MOST_WORDS, len(parts) - at), 0, -1)
        found = next((n for n in counts if tuple(key for *_, key in parts[at : at + n]) in _brands()), 0)
        if found:
            spans.append((parts[at][0], parts[at + found - 1][1]))
        at += found or 1
    return tuple(spans)


@cache
def _brands() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(_brand_key(word) for word in name.split()) for name in phrases("brands_like_people"))


def _brand_key(word: str) -> str:
    return re.sub(r"'s$", "", word.replace(".", "")).replace("'", "")


def _words(slate: Slate, other_words: frozenset[str]) -> list[_Word]:
    telling = any(c.islower() for c in slate.text)  # in ALL CAPS a capital says nothing
    found: list[_Word] = []
    for m in _WORD.finditer(slate.left):
        text = m[0] if _INITIALS.match(m[0]) or m[0] == "st." else m[0].rstrip(".")
        capital = telling and slate.text[m.start()].isupper()
        bare = re.sub(r"'s$", "", text).strip("'.-")
        between = slate.left[found[-1].end : m.start()] if found else "x"
        end = m.start() + len(text)
        found.append(_Word(m.start(), end, text, bare, capital, _plain(bare, other_words), between.isspace()))
    return found


def _end_after_cue(every: list[_Word], at: int) -> int | None:
    """Return where the name after a cue ends: before a word that people are not called; None when nothing is left."""
    last: int | None = None
    count = 0
    for i in range(at, len(every)):
        word = every[i]
        if i > at and not _follows(every, i):
            break
        if word.bare in _PARTICLES and last is not None:
            continue
        ends = word.bare in words("words_after_names") or (
            word.plain
            and not (count < 2 and word.capital)
            and not (count == 0 and word.bare in words("doubtful_first_names"))
            and not (count == 1 and word.bare in words("last_names") and word.capital == every[at].capital)
        )
        if ends or count == _MOST_WORDS or (count >= 2 and not word.capital and not _is_name(word)):
            break
        last, count = i, count + 1
        if word.text.endswith("'s"):
            break
    return None if last is None else _end(every[last])


def _last_of_name(every: list[_Word], at: int, other_words: frozenset[str]) -> int | None:
    """Return the place of the last word of a name that begins here, where no cue says that one does."""
    second = _second(every, at)
    if second is None:
        return None
    one, other = every[at], every[second]
    if other.bare in words("words_after_names") or not _pair(one, other, alone=not _follows(every, second + 1)):
        return None
    last = second
    while not every[last].text.endswith("'s") and last - at < _MOST_WORDS:
        following = _second(every, last)
        if following is None or not _goes_on(every[following]):
            break
        last = following
    goods = every[last + 1].bare if _follows(every, last + 1) else ""
    return None if not (_is_name(one) or _is_name(other)) and singular(normalise(goods)) in other_words else last


def _second(every: list[_Word], at: int) -> int | None:
    """Return the next word beside this one that is no particle and no middle initial."""
    following = at + 1
    while _follows(every, following):
        word = every[following]
        if word.bare not in _PARTICLES and not (len(word.bare) == 1 and following + 1 < len(every)):
            return following
        following += 1
    return None


def _pair(one: _Word, other: _Word, *, alone: bool) -> bool:
    """Say whether two words are somebody's name."""
    first, last = one.bare in words("first_names"), other.bare in words("last_names")
    plain, goods = one.plain, other.plain
    if _INITIALS.fullmatch(one.text) and (one.capital or one.text.endswith(".")) and one.text != "st.":
        return (last or not goods) and (other.capital or not one.capital) and len(other.bare) > 1
    if one.bare in words("filler_words"):
        return False
    if one.capital and other.capital:
        if plain and goods:
            return first and last and alone
        return (first and (last or not goods)) or not (plain or goods)
    if plain or goods or one.capital != other.capital:
        return False
    called = last or other.bare in words("first_names")
    return (first and called) or (one.bare in words("last_names") and other.bare in words("first_names"))


def _goes_on(word: _Word) -> bool:
    """Say whether a name of two words has this one too: Mary Beth Kowalczyk."""
    if word.bare in words("words_after_names") or word.plain:
        return False
    return word.capital or _is_name(word)


def _is_name(word: _Word) -> bool:
    return word.bare in words("first_names") or word.bare in words("last_names")


def _plain(bare: str, other_words: frozenset[str]) -> bool:
    return (
        bare in words("filler_words")
        or bare in words("small_talk")
        or bare in words("words_after_names")
        or bare in words("doubtful_first_names")
        or bare in other_words
        or singular(bare) in other_words
    )


def _follows(every: list[_Word], at: int) -> bool:
    """Say whether a word stands there with only space before it, and none that is a genitive."""
    return at < len(every) and every[at].joined and not every[at - 1].text.endswith("'s")


def _end(word: _Word) -> int:
    return word.end - 2 if word.text.endswith("'s") else word.end


def _named(slate: Slate, start: int, name_start: int, end: int) -> tuple[str, Mention, Slate]:
    said = slate.said(name_start, end).strip()
    name = _TITLE_AT_START.sub("", said) if not said[:1].isupper() else said
    mention = Mention(Kind.CUSTOMER, said, name, (name_start, end))
    after = re.match(r"'s\b", slate.left[end:])
    return name, mention, slate.cover(start, end + (2 if after else 0))
