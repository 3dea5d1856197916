"""Whose receipt it is: a name after a cue (named, Mrs., customer), or a known first name and a surname."""

from __future__ import annotations

import re

from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.word_lists import words

_PART = r"(?:[^\W\d_]|')[^\W\d_]*(?:['.\-][^\W\d_]+)*"
_PARTICLE = r"(?:de la|de los|van der|van den|de|del|della|di|da|la|le|van|von|st\.?|mc|mac|o')"
_NAME = rf"(?P<name>{_PART}(?:\s+[a-z]\.)?(?:\s+(?:{_PARTICLE}\s+)?{_PART}){{0,3}})"
_TITLE = r"(?:mr|mrs|ms|miss|dr|mister|sir|madam)\b\.?"
_CUED = (
    re.compile(
        rf"(?<!\w)(?:(?:(?:a|the|our)\s+)?(?:lady|guy|man|woman|customer|guest|shopper|gentleman|person|someone|somebody|lady's|member)\s+)?"
        rf"(?:named|name\s+is|name's|name\s+was|name\s+of|called|by\s+the\s+name\s+of|under\s+the\s+name(?:\s+of)?|name\s*:|first\s+name|last\s+name|surname)\s*:?\s+(?:{_TITLE}\s+)?{_NAME}"
    ),
    re.compile(rf"(?<!\w){_TITLE}\s+{_NAME}"),
    re.compile(rf"(?<!\w)(?:loyalty\s+)?(?:customer|guest|member|shopper|cust|cardholder|card\s*holder|account)(?:\s+is|\s+was|\s*:|\s+name)?\s+{_NAME}"),
)  # fmt: skip
_FOR = re.compile(rf"(?<!\w)(?:for|by|belongs\s+to|belonging\s+to|under|receipts?\s+of)\s+{_NAME}")
_PAIR = re.compile(rf"(?<![\w'])(?P<first>{_PART})(?:\s+[a-z]\.)?\s+(?:{_PARTICLE}\s+)?(?P<last>{_PART})(?:'s)?(?!\w)")
_SURNAME = re.compile(rf"\s+(?P<last>{_PART}?)(?:'s)?(?![\w'])")
_TITLE_AT_START = re.compile(rf"^{_TITLE}\s+")


def find_person(slate: Slate, other_words: frozenset[str]) -> tuple[str | None, Mention | None, Slate]:
    """Return the person a sentence names, as written and without title, and the slate with the name covered.

    `other_words` are what products and stores are called: they are no surnames unless a cue says so.
    """
    for pattern in _CUED:
        for m in pattern.finditer(slate.left):
            end = _end_of_name(slate, m.start("name"), m.end("name"), other_words, cued=True)
            if end is not None:
                return _named(slate, m.start(), m.start("name"), end)
    for m in _FOR.finditer(slate.left):
        start = m.start("name")
        end = _end_of_name(slate, start, m.end("name"), other_words, cued=False)
        if end is not None and _looks_like_name(slate, start, end, other_words):
            return _named(slate, m.start(), start, end)
    return _pair(slate, other_words)


def _pair(slate: Slate, other_words: frozenset[str]) -> tuple[str | None, Mention | None, Slate]:
    """Find a known first name with a surname after it, anywhere."""
    at = 0
    while m := _PAIR.search(slate.left, at):
        start, end = m.start("first"), m.end("last")
        if _looks_like_name(slate, start, end, other_words):
            longer = _end_of_name(slate, start, end, other_words, cued=False)
            if longer is not None and slate.left[longer:end] in ("", "'s"):
                return _named(slate, start, start, _with_surname(slate, start, longer, other_words))
        at = m.end("first")
    return None, None, slate


def _with_surname(slate: Slate, start: int, end: int, other_words: frozenset[str]) -> int:
    """Return where the name ends when its second word is a first name too: Mary Beth Kowalczyk."""
    after = _SURNAME.match(slate.left, end)
    second = _bare(slate.left[start:end].split()[-1])
    if after is None or second not in _first_names() or not slate.text[after.start("last")].isupper():
        return end
    word = _bare(after["last"])
    return end if word in words("words_after_names") or word in other_words else after.end("last")


def _looks_like_name(slate: Slate, start: int, end: int, other_words: frozenset[str]) -> bool:
    """Say whether the first word is a first name and the rest could be a surname."""
    parts = slate.left[start:end].split()
    if (
        len(parts) < 2
        or parts[0] not in _first_names()
        or any(_bare(w) in words("words_after_names") for w in parts[1:])
    ):
        return False
    typed = slate.said(start, end).split()
    capital = all(word[:1].isupper() for word in (typed[0], typed[-1]))
    doubtful = parts[0] in _doubtful_names() or _bare(parts[-1]) in other_words
    return capital or not doubtful


def _end_of_name(slate: Slate, start: int, end: int, other_words: frozenset[str], *, cued: bool) -> int | None:
    """Return where the name ends: before a word that people are not called; None when nothing is left."""
    last: int | None = None
    capitals = slate.text[start:end][:1].isupper()
    for i, m in enumerate(re.finditer(r"\S+", slate.left[start:end])):
        word = _bare(m[0])
        capital = slate.text[start + m.start()].isupper()
        known = cued or slate.left[start:end].split()[0] in _first_names()
        if word in words("words_after_names") or (word in other_words and not (i < 2 and capital and known)):
            break
        if i == 3 or (i == 2 and not capitals and word not in _first_names()):
            break
        last = start + m.end()
        if m[0].endswith("'s"):
            last -= 2
            break
    return last


def _named(slate: Slate, start: int, name_start: int, end: int) -> tuple[str, Mention, Slate]:
    said = slate.said(name_start, end).strip()
    name = _TITLE_AT_START.sub("", said) if not said[:1].isupper() else said
    mention = Mention(Kind.CUSTOMER, said, name, (name_start, end))
    after = re.match(r"'s\b", slate.left[end:])
    return name, mention, slate.cover(start, end + (2 if after else 0))


def _bare(word: str) -> str:
    return re.sub(r"'s$", "", word).strip("'.-")


def _first_names() -> frozenset[str]:
    return words("first_names") | _doubtful_names()


def _doubtful_names() -> frozenset[str]:
    """First names that are also words: they need capitals."""
    return words("doubtful_first_names")
