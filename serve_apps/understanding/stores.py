"""Which store a sentence names: names and aliases, typing errors allowed, product words kept apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process

from receipts.products import singular
from receipts.text import normalise
from serve_apps.understanding.query import Kind, Mention, StoreNames
from serve_apps.understanding.slate import Slate

_WORD = re.compile(r"[^\W_][^\s,;:!?()\"\x1f/]*")
_MOST_WORDS = 4
_CUE = re.compile(
    r"(?:\b(?:at|from|in|near|by|over in|out in|down in|up in|store|location|loc)|@)\s*(?:the\s+|your\s+|our\s+|one in\s+)*:?\s*$"
)
_STORE_AFTER = re.compile(r"\s*(?:'s\s+)?\b(?:store|location|shop|branch|loc|giant eagle|supermarket|market)\b")
_LEAD = re.compile(r"(?:\b(?:at|from|in|near|the|store|location|giant eagle|our|your)\s+|@\s*)+$")
# Similarity (0..100) asked of a name: with "at" before it, without, and of short names, where one letter is much.
_CUED, _UNCUED, _SHORT = 78.0, 86.0, 88.0
_SHORT_NAME = 5
_WORTH_OF_WORD = 0.05  # two misspelt words of a name say more than one word of it


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Every name of every store, spaces removed; a name may belong to several."""

    stores: tuple[StoreNames, ...]
    by_name: dict[str, tuple[int, ...]]
    names: dict[int, str]
    words: frozenset[str]  # of all names, in the singular


@dataclass(frozen=True, slots=True)
class StoreMatch:
    """A store that was named. `score` is 0..1; 1 means letter for letter."""

    store_ids: tuple[int, ...]
    name: str
    score: float


def gazetteer(stores: Sequence[StoreNames]) -> Gazetteer:
    """Index the names of all stores."""
    by_name: dict[str, list[int]] = {}
    for store in stores:
        for name in (store.name, *store.aliases):
            key = _key(name)
            ids = by_name.setdefault(key, [])
            if key and store.store_id not in ids:
                ids.append(store.store_id)
    by_name.pop("", None)
    names = (name for store in stores for name in (store.name, *store.aliases))
    return Gazetteer(
        stores=tuple(stores),
        by_name={key: tuple(ids) for key, ids in by_name.items()},
        names={store.store_id: store.name for store in stores},
        words=frozenset(singular(word) for name in names for word in normalise(name).split()),
    )


def match_store(text: str, known: Gazetteer, cutoff: float = _CUED) -> StoreMatch | None:
    """Return the store whose name or alias is nearest to a text: rapidfuzz ratio with spaces removed."""
    key = _key(text)
    if not key or not known.by_name:
        return None
    if key in known.by_name:
        return _match(known, key, 1.0)
    best = process.extractOne(key, list(known.by_name), scorer=fuzz.ratio, score_cutoff=cutoff)
    return _match(known, best[0], best[1] / 100) if best else None


def find_store(
    slate: Slate, known: Gazetteer, product_words: frozenset[str]
) -> tuple[StoreMatch | None, Mention | None, Slate]:
    """Return the store a sentence names, where it does, and the slate with it covered.

    `product_words` are what things are called: "cranberry juice" is no store, "in Cranberry" is.
    """
    words = list(_WORD.finditer(slate.left))
    best: tuple[float, int, int, StoreMatch] | None = None
    for i in range(len(words)):
        for j in range(i, min(i + _MOST_WORDS, len(words))):
            start, end = words[i].start(), words[j].end()
            if j > i and not re.fullmatch(r"[ .\-]+", slate.left[words[j - 1].end() : words[j].start()]):
                break
            found = _window(slate.left, start, end, known, product_words)
            if found is None:
                continue
            worth = found[0] + _WORTH_OF_WORD * (j - i)
            if best is None or (worth, end - start) > (best[0], best[2] - best[1]):
                best = (worth, start, end, found[1])
    if best is None:
        return None, None, slate
    _, start, end, match = best
    start, end = _tidied(slate.left, start, end)
    mention = Mention(Kind.STORE, slate.said(start, end), match.name, (start, end))
    lead = _LEAD.search(slate.left[:start])
    tail = _STORE_AFTER.match(slate.left, end)
    return match, mention, slate.cover(lead.start() if lead else start, tail.end() if tail else end)


def _window(
    left: str, start: int, end: int, known: Gazetteer, product_words: frozenset[str]
) -> tuple[float, StoreMatch] | None:
    text = left[start:end]
    key = _key(text)
    if len(key) < 3 or key.isdigit():
        return None
    cued = bool(_CUE.search(left[:start])) or bool(_STORE_AFTER.match(left, end))
    words = [singular(word) for word in normalise(text).split()]
    is_product = all(word in product_words for word in words)
    cutoff = 100.0 if is_product else _SHORT if len(key) <= _SHORT_NAME else _CUED if cued else _UNCUED
    match = _nearest(key, known, cutoff)
    if match is None:
        return None
    follows = re.match(r"[ ]+(?P<w>[a-z']+)", left[end:])
    goes_on = bool(follows) and singular(normalise(follows["w"] if follows else "")) in product_words
    if goes_on and not (cued and _CUE.search(left[:start])):
        return None
    if is_product and not cued and not _alone(left, start, end):
        return None
    return match.score + (0.05 if cued else 0.0), match


def _alone(left: str, start: int, end: int) -> bool:
    """Say whether nothing but commas or what is covered stands around: "cranberry, last tuesday"."""
    return bool(re.search(r"(?:^|[,;\x1f])\s*$", left[:start])) and bool(re.match(r"\s*(?:$|[,;\x1f])", left[end:]))


def _nearest(key: str, known: Gazetteer, cutoff: float) -> StoreMatch | None:
    if key in known.by_name:
        return _match(known, key, 1.0)
    if cutoff >= 100:
        return None
    best = process.extractOne(key, known.by_name.keys(), scorer=fuzz.ratio, score_cutoff=cutoff)
    return _match(known, best[0], best[1] / 100) if best else None


def _match(known: Gazetteer, key: str, score: float) -> StoreMatch:
    ids = known.by_name[key]
    return StoreMatch(ids, known.names[ids[0]], score)


def _tidied(left: str, start: int, end: int) -> tuple[int, int]:
    """Leave a closing full stop or genitive out of the span."""
    text = left[start:end]
    return start, start + len(re.sub(r"(?:'s|[.'])+$", "", text))


@lru_cache(maxsize=4_096)  # names repeat in every sentence
def _key(text: str) -> str:
    return normalise(re.sub(r"'s$", "", text.strip())).replace(" ", "")
