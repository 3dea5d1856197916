"""What was bought: what is left of a sentence once everything else is understood and small talk is dropped."""

from __future__ import annotations

import re

from rapidfuzz import fuzz, process

from receipts.products import expand, singular
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.word_lists import words

# Things with "and" inside them, which is no list of two.
_TOGETHER = re.compile(
    r"\b(?:mac(?:aroni)?|half|salt|sweet|ham|pork|bread|oil|cookies|peanut butter|rice|beans|spaghetti|fish|biscuits|surf|sour cream|chicken|franks|"
    r"head|arm|black|red|m|a|b|hot)\s*(?:and|&|n|'n'|n')\s*(?:cheese|half|vinegar|sour|beans|butter|cream|jelly|rice|meatballs|chips|gravy|turf|onion|"
    r"shoulders|hammer|decker|m's|ms|m|w|noodles|dumplings|waffles|spicy|eggs|white)\b"
    r"|\bnew (?:york|england|orleans|zealand)\b"
)
_BREAK = re.compile(
    r"[,;:!?()\[\]\"\x1f\n\t|+*=<>{}]|\s-+\s|\.(?:\s|$)|/(?=\s)|\s/|\s&\s|\b(?:and|plus|or|also|along with|as well as|with|w/|but|then|but not)\b"
)
_WORD = re.compile(r"[^\s]+")
_JUST_NUMBER = re.compile(r"^[#x]?\d+(?:[.,/]\d+)*x?$|^[^\w%]+$")
_MEASURE = re.compile(r"^\d+(?:\.\d+)?(?:oz|lbs?|ml|l|g|kg|ct|pk|pack|count|gal|qt|pt|in|ft)$")
_MOST_TERMS = 8
_ALIKE, _SHORTEST = 84.0, 5  # of 100, for a word with a typing error; shorter ones have too many neighbours


def find_products(slate: Slate, vocabulary: frozenset[str] | None) -> tuple[tuple[str, ...], tuple[Mention, ...]]:
    """Return the product terms of a sentence, in order, as lower-case phrases, and where they stand.

    `vocabulary` are the singular words of the catalogue: a phrase without any of them is small talk and is
    dropped. None keeps every phrase that is not filler.
    """
    left = slate.left
    kept_together = [m.span() for m in _TOGETHER.finditer(left)]
    terms: list[str] = []
    mentions: list[Mention] = []
    for start, end in _segments(left, kept_together):
        for first, last in _phrases(left, start, end, kept_together):
            term = " ".join(_words(left[first:last]))
            if not term or term in terms or (vocabulary is not None and not _known(term, vocabulary)):
                continue
            terms.append(term)
            mentions.append(Mention(Kind.PRODUCT, slate.said(first, last), term, (first, last)))
    return tuple(terms[:_MOST_TERMS]), tuple(mentions[:_MOST_TERMS])


def _segments(left: str, together: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut at punctuation, at what is covered and at "and", but not inside "mac and cheese"."""
    at, cuts = 0, []
    for m in _BREAK.finditer(left):
        if any(start < m.start() and m.end() < end for start, end in together):
            continue
        cuts.append((at, m.start()))
        at = m.end()
    return [*cuts, (at, len(left))]


def _phrases(left: str, start: int, end: int, together: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return runs of words that say something, inside one segment."""
    runs: list[tuple[int, int]] = []
    open_run = False
    for m in _WORD.finditer(left, start, end):
        inside = any(a <= m.start() and m.end() <= b for a, b in together)
        if not inside and _says_nothing(m[0]):
            open_run = False
        elif open_run:
            runs[-1] = (runs[-1][0], m.end())
        else:
            runs.append((m.start(), m.end()))
            open_run = True
    return runs


def _says_nothing(word: str) -> bool:
    bare = word.strip("'.-_~$#@^")
    return (
        not bare
        or bare in words("filler_words")
        or bare.removesuffix("'s") in words("filler_words")
        or bool(_JUST_NUMBER.match(bare))
        or bool(_MEASURE.match(bare))
        or len(bare) == 1
    )


def _words(phrase: str) -> list[str]:
    return [bare for word in phrase.split() if (bare := word.strip("'.-_~$#@^"))]


def _known(term: str, vocabulary: frozenset[str]) -> bool:
    """Say whether a word of the phrase is the catalogue's, or was meant to be: rotiserie."""
    found = [singular(word) for word in re.findall(r"[a-z0-9%&]+", expand(term))]
    if any(word in vocabulary for word in found):
        return True
    long = [word for word in found if len(word) >= _SHORTEST]
    return any(process.extractOne(word, vocabulary, scorer=fuzz.ratio, score_cutoff=_ALIKE) for word in long)
