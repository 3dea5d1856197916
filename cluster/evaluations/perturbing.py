"""Names as they are mistyped and misheard: one way of going wrong at a time, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from string import ascii_lowercase

Words = list[str]
Change = Callable[[Words, Random], Words | None]  # None where a name has nothing to go wrong in this way

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEXT_TO = {letter: row[max(i - 1, 0) : i] + row[i + 1 : i + 2] for row in _KEYBOARD for i, letter in enumerate(row)}
_SHORTEST = 4  # a word with fewer letters is another word after an edit
# How a name that was only heard is written: each to the other.
_HEARD = (
    ("ph", "f"), ("ck", "k"), ("c", "k"), ("y", "i"), ("ie", "y"), ("ee", "ea"), ("z", "s"), ("w", "v"),
    ("sch", "sh"), ("cz", "ch"), ("ei", "ie"), ("ski", "sky"), ("th", "t"), ("x", "ks"), ("ou", "u"), ("ai", "ay"),
    ("ll", "l"), ("tt", "t"), ("nn", "n"), ("ss", "s"), ("rr", "r"), ("sen", "son"), ("er", "or"), ("j", "g"),
)  # fmt: skip


def seeded(*parts: object) -> Random:
    """Return the random numbers of a seed and of what they are for."""
    return Random(" ".join(map(str, parts)))  # noqa: S311 - the same in every run, and nobody's secret


def edited(word: str, random: Random) -> str:
    """Return a word with one letter dropped, doubled or added, replaced by a neighbour's key, or two swapped."""
    at = random.randrange(len(word))
    letter = random.choice(_NEXT_TO.get(word[at], "") or ascii_lowercase)
    ways = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at else word,
    )
    other = random.choice(ways)
    return other if other != word else edited(word, random)


def _one_edit(words: Words, random: Random) -> Words | None:
    at = random.choice([i for i, word in enumerate(words) if len(word) >= _SHORTEST] or [-1])
    return None if at < 0 else [*words[:at], edited(words[at], random), *words[at + 1 :]]


def _two_edits(words: Words, random: Random) -> Words | None:
    if len(words[-1]) <= _SHORTEST:
        return None
    return [*words[:-1], edited(edited(words[-1], random), random)]


def _edit_in_each(words: Words, random: Random) -> Words | None:
    if min(len(words[0]), len(words[-1])) < _SHORTEST:
        return None
    return [edited(words[0], random), *words[1:-1], edited(words[-1], random)]


def heard(words: Words, random: Random) -> Words | None:
    """Return the words with one written as it sounds, or None."""
    ways = [
        [*words[:i], word[:at] + new + word[at + len(old) :], *words[i + 1 :]]
        for i, word in enumerate(words)
        for pair in _HEARD
        for old, new in (pair, pair[::-1])
        if (at := word.find(old)) >= 0 and len(word) >= _SHORTEST
    ]
    return random.choice(ways) if ways else None


def _swapped(words: Words, random: Random) -> Words | None:
    del random
    return [*words[1:], words[0]]


def _half(words: Words, random: Random) -> Words | None:
    return [words[0], random.choice(words[1:])] if len(words) > 2 else None


def _joined(words: Words, random: Random) -> Words | None:
    at = random.randrange(len(words) - 1)
    return [*words[:at], words[at] + words[at + 1], *words[at + 2 :]]


def _split(words: Words, random: Random) -> Words | None:
    at = max(range(len(words)), key=lambda i: len(words[i]))
    cut = random.randrange(2, max(len(words[at]) - 1, 3))
    return [*words[:at], words[at][:cut], words[at][cut:], *words[at + 1 :]] if len(words[at]) > _SHORTEST else None


def _initial(words: Words, random: Random) -> Words | None:
    del random
    return [words[0][0], *words[1:]]


EXACT = "as it is"
PEOPLE: Mapping[str, Change] = {
    EXACT: lambda words, _: words,
    "one edit": _one_edit,
    "two edits in the surname": _two_edits,
    "one edit in each of two words": _edit_in_each,
    "as it sounds": heard,
    "swapped": _swapped,
    "half of a double surname": _half,
    "joined": _joined,
    "split": _split,
    "initial": _initial,
}


def renamed(forms: Callable[[str], Iterable[str]]) -> Change:
    """Return the change that calls somebody by another form of the first name."""

    def change(words: Words, random: Random) -> Words | None:
        others = sorted(forms(words[0]))
        return [random.choice(others), *words[1:]] if others else None

    return change


# What the United States Postal Service cuts words to (Publication 28, appendices B and C), and what a rep does besides.
_CUT = {
    "north": "n", "south": "s", "east": "e", "west": "w", "mount": "mt", "mt": "mount", "saint": "st", "st": "saint",
    "fort": "ft", "heights": "hts", "township": "twp", "square": "sq", "center": "ctr", "centre": "ctr", "park": "pk",
    "boulevard": "blvd", "blvd": "boulevard", "avenue": "ave", "ave": "avenue", "street": "st", "road": "rd",
    "rd": "road", "hills": "hls", "hill": "hl", "valley": "vly", "village": "vlg", "springs": "spgs", "falls": "fls",
    "grove": "grv", "creek": "crk", "ridge": "rdg", "point": "pt", "port": "prt", "lake": "lk", "island": "is",
    "river": "riv", "junction": "jct", "crossing": "xing", "bridge": "brg", "beach": "bch", "mills": "mls",
    "gardens": "gdns", "glen": "gln", "haven": "hvn", "view": "vw", "city": "cty", "upper": "u", "lower": "lwr",
    "plaza": "plz", "district": "dist", "market": "mkt", "pittsburgh": "pgh", "green": "grn", "town": "twn",
}  # fmt: skip


def _mistyped(words: Words, random: Random) -> Words | None:
    text = edited(" ".join(words), random)
    return (text if len(text) < 9 or random.random() < 0.5 else edited(text, random)).split()


def _cut(words: Words, random: Random) -> Words | None:
    at = [i for i, word in enumerate(words) if word in _CUT]
    chosen = set(random.sample(at, random.randint(1, len(at)))) if at else set()
    return [_CUT[word] if i in chosen else word for i, word in enumerate(words)] if at else None


def _cut_and_mistyped(words: Words, random: Random) -> Words | None:
    cut = _cut(words, random)
    at = max(range(len(words)), key=lambda i: len(words[i]))
    if cut is None or len(cut[at]) < _SHORTEST:
        return None
    return [*cut[:at], edited(cut[at], random), *cut[at + 1 :]]


STORES: Mapping[str, Change] = {
    EXACT: lambda words, _: words,
    "mistyped": _mistyped,
    "cut short": _cut,
    "cut short and mistyped": _cut_and_mistyped,
}
