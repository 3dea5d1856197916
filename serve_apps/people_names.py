"""What people are called: how a typed name may be spelt otherwise, and how alike two names are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import permutations
from typing import NamedTuple

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from receipts.text import normalise

_MOST_WORDS = 4
_LONGEST_RUN = 3  # "de la cruz" for Delacruz
_GENITIVE = re.compile(r"(?<=\w)['’]s(?!\w)")
_TITLES = frozenset(
    ["mr", "mrs", "ms", "miss", "mister", "dr", "prof", "rev", "sir", "madam", "jr", "sr", "ii", "iii", "iv", "md"]
)
_PARTICLES = frozenset(
    [
        "de", "del", "della", "di", "da", "das", "dos", "du", "la", "las", "le", "los", "el", "al", "y", "e", "van",
        "von", "der", "den", "ter", "ten", "zu", "bin", "ibn", "mc", "mac", "o", "st", "san",
    ]
)  # fmt: skip
_JOINED_COST = 0.05
_VARIANT_COST = 0.2  # behind a name that differs by a letter in six, before one that differs by two
# How alike a nickname, an initial and a word that merely is not on file are to what they stand for: 1 is the same.
_NICKNAME, _INITIAL = 0.95, 0.88
_MISSING, _MISSING_PARTICLE = 0.4, 0.1  # the weight of a typed word that the name lacks: middle names often are
_SHARED = 0.85  # a letter in seven
_SURPLUS = 0.01  # for each word of the name that was not typed
_JOINED = 0.07  # for words that had to be joined: "S Hall" is rather an initial than Shall


class Spelling(NamedTuple):
    """A way to spell the typed words `starts` to `ends` (from 1, both included). At a cost of 0 it is as typed."""

    text: str
    starts: int
    ends: int
    cost: float


def typed_words(name: str) -> list[str]:
    """Return the words of a name as they are compared, without titles and genitive, four at most."""
    words = normalise(_GENITIVE.sub("", name)).split()
    return ([word for word in words if word not in _TITLES] or words)[:_MOST_WORDS]


def spellings(words: Sequence[str]) -> list[Spelling]:
    """Return each word, neighbours joined, and what else a word is short for or is called."""
    found: list[Spelling] = []
    for i in range(len(words)):
        found.append(Spelling(words[i], i + 1, i + 1, 0.0))
        ends = range(i + 1, min(i + _LONGEST_RUN, len(words)))
        found.extend(Spelling("".join(words[i : j + 1]), i + 1, j + 1, _JOINED_COST) for j in ends)
        found.extend(Spelling(other, i + 1, i + 1, _VARIANT_COST) for other in sorted(nicknames(words[i])))
    return found


def nicknames(word: str) -> frozenset[str]:
    """Return what else somebody of that first name may be called; nothing for a word that is no such name."""
    return _nicknames().get(word, frozenset())


def likeness(typed: Sequence[str], name: Sequence[str]) -> float:
    """Return 0..1: the mean likeness of each typed word to a word of the name, in the best order of them.

    0.6 Damerau-Levenshtein + 0.4 Jaro-Winkler, both normalised; nicknames and initials are nearly the same. A typed
    word with no partner weighs less than one that differs. Words of the name that were not typed hardly count, so that
    a surname alone finds its people. Neighbours are joined on either side where that makes them more alike.
    """
    if not typed or not name:
        return 0.0
    best = _aligned(typed, name)
    if best < _NICKNAME:
        joined = [_aligned(other, name) for other in _joined(typed)]
        joined += [_aligned(typed, other) for other in _joined(name)]
        best = max(best, *(score - _JOINED for score in joined), 0.0)
    return best


def shares_word(typed: Sequence[str], name: Sequence[str]) -> bool:
    """Say whether a word of the name, not only a letter or a particle, is one of those typed or nearly so."""
    whole = [word for word in typed if len(word) > 2 and word not in _PARTICLES]
    return any(_alike(one, other) >= _SHARED and other not in nicknames(one) for one in whole for other in name)


def _joined(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the words with two or three neighbours made one."""
    for run in range(2, _LONGEST_RUN + 1):
        for i in range(len(words) - run + 1):
            yield [*words[:i], "".join(words[i : i + run]), *words[i + run :]]


def _aligned(typed: Sequence[str], name: Sequence[str]) -> float:
    alike = [[_alike(one, other) for other in name[: _MOST_WORDS + 1]] for one in typed]
    columns: list[int | None] = [*range(len(alike[0])), *[None] * max(0, len(typed) - len(alike[0]))]
    weights = [_MISSING_PARTICLE if word in _PARTICLES else _MISSING for word in typed]
    best = 0.0
    for order in permutations(columns, len(typed)):
        pairs = list(zip(range(len(typed)), order, strict=True))
        score = sum(alike[i][j] for i, j in pairs if j is not None)
        weight = sum(1.0 if j is not None else weights[i] for i, j in pairs)
        best = max(best, score / weight)
    return max(0.0, best - _SURPLUS * max(0, len(name) - len(typed)))


def _alike(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if len(one) == 1 or len(other) == 1:
        return _INITIAL if one[0] == other[0] else 0.0
    if other in nicknames(one):
        return _NICKNAME
    edits = DamerauLevenshtein.normalized_similarity(one, other)
    return 0.6 * edits + 0.4 * JaroWinkler.normalized_similarity(one, other)


@cache
def _nicknames() -> dict[str, frozenset[str]]:
    """Read the lines of nicknames.txt: each word of a line may stand for each other."""
    text = resources.files("serve_apps").joinpath("nicknames.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    groups: dict[str, set[str]] = {}
    for line in lines:
        for word in line:
            groups.setdefault(word, set()).update(line)
    return {word: frozenset(group - {word}) for word, group in groups.items()}
