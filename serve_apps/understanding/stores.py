"""Which store a sentence names: names and aliases, typing errors allowed, product words kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from receipts.products import singular
from receipts.text import normalise
from serve_apps.understanding.query import Kind, Mention, StoreNames
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.store_names import KeyIndex, bare, index_keys, key_of, keys_of, nearest_key
from serve_apps.understanding.word_lists import words

_WORD = re.compile(r"[^\W_][^\s,;:!?()\"\ue000/]*")
_MOST_WORDS = 4
_CUE = re.compile(
    r"(?:\b(?:at|from|in|near|by|over in|out in|down in|up in|store|location|loc|(?:went|go|goes|going|drive|drove|came|come|been|run|ran|walked|bus|back|over|trip)\s+to)|@)\s*(?:the\s+|your\s+|our\s+|one in\s+)*:?\s*$"
)
_STORE_AFTER = re.compile(r"\s*(?:'s\s+)?\b(?:store|location|shop|branch|loc|giant eagle|supermarket|market)\b")
_DENIED = re.compile(r"\b(?:not|isn'?t|wasn'?t|never)\s+(?:(?:at|in|from|the|that|our|your)\s+)*$")
# Places that goods are called by: Washington apples.
_PLACES_OF_GOODS = frozenset(
    [
        "washington",
        "idaho",
        "california",
        "florida",
        "georgia",
        "vermont",
        "wisconsin",
        "maine",
        "virginia",
        "texas",
        "hawaii",
        "alaska",
        "kentucky",
        "newyork",
        "newengland",
        "boston",
        "philadelphia",
        "buffalo",
        "memphis",
        "kansascity",
        "stlouis",
        "chicago",
        "detroit",
        "dallas",
        "moon",
        "cambridge",
        "bristol",
        "york",
        "lancaster",
        "hershey",
        "jersey",
        "vienna",
        "danish",
        "canadian",
        "london",
        "paris",
    ]
)
_LINKS = frozenset(
    ["of", "and", "a", "an", "or", "some", "with", "for", "at", "in", "from", "by", "on", "to", "was", "is", "it"]
)  # no store begins or ends with them
_LEAD = re.compile(r"(?:\b(?:at|from|in|near|the|store|location|giant eagle|our|your)\s+|@\s*)+$")
# Similarity (0..100) asked of a name: with "at" before it, without, and of short names, where one letter is much.
_CUED, _UNCUED, _SHORT = 78.0, 85.0, 88.0
_ASKED = 70.0  # of a text that can only be a store
_SHORT_NAME = 5
_SURE = 0.9  # what a name is asked for before a word that goods are called by
_WORTH_OF_WORD = 0.05  # two misspelt words of a name say more than one word of it


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Every name of every store, spaces removed; a name may belong to several."""

    stores: tuple[StoreNames, ...]
    by_name: dict[str, tuple[int, ...]]
    keys: KeyIndex  # those of `by_name`
    names: dict[int, str]
    words: frozenset[str]  # of all names, in the singular

    def has(self, text: str) -> bool:
        """Say whether a text is the name of a store or a part of one, letter for letter."""
        key = _key(text)
        return any(key in name for name in self.by_name)


@dataclass(frozen=True, slots=True)
class StoreMatch:
    """A store that was named. `score` is 0..1; 1 means letter for letter."""

    store_ids: tuple[int, ...]
    name: str
    score: float


def gazetteer(stores: Sequence[StoreNames]) -> Gazetteer:
    """Index the names of all stores, as they are and as they may be cut short; the former come before the latter."""
    return _gazetteer(tuple(stores))


@lru_cache(maxsize=2)  # it is asked for every minute and changes once a year
def _gazetteer(stores: tuple[StoreNames, ...]) -> Gazetteer:
    named = [(name, store.store_id) for store in stores for name in (store.name, *store.aliases)]
    by_name = _by_key((_key(name), store_id) for name, store_id in named)
    others = _by_key((key, store_id) for name, store_id in named for key in keys_of(name) if key not in by_name)
    return Gazetteer(
        stores=stores,
        by_name=by_name | others,
        keys=index_keys((*by_name, *others)),
        names={store.store_id: store.name for store in stores},
        words=frozenset(singular(word) for name, _ in named for word in normalise(name).split()),
    )


def _by_key(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    ids: dict[str, dict[int, None]] = {}
    for key, store_id in pairs:
        if key:
            ids.setdefault(key, {})[store_id] = None
    return {key: tuple(of) for key, of in ids.items()}


def match_store(text: str, known: Gazetteer, cutoff: float = _ASKED) -> StoreMatch | None:
    """Return the store whose name or alias is nearest to a text: rapidfuzz ratio with spaces removed."""
    keys = dict.fromkeys(key for key in (_key(text), _key(bare(text))) if key)
    matches = [match for key in keys if (match := _nearest(key, known, cutoff)) is not None]
    return max(matches, key=lambda match: match.score, default=None)


def find_store(
    slate: Slate, known: Gazetteer, product_words: frozenset[str]
) -> tuple[StoreMatch | None, Mention | None, Slate]:
    """Return the store a sentence names, where it does, and the slate with it covered.

    `product_words` are what things are called: "cranberry juice" is no store, "in Cranberry" is.
    """
    parts = list(_WORD.finditer(slate.left))
    best: tuple[float, int, int, StoreMatch] | None = None
    denied: list[tuple[int, int]] = []
    for i in range(len(parts)):
        for j in range(i, min(i + _MOST_WORDS, len(parts))):
            start, end = parts[i].start(), parts[j].end()
            if j > i and not re.fullmatch(r"[ .\-]+", slate.left[parts[j - 1].end() : parts[j].start()]):
                break
            found = _window(slate.left, start, end, known, product_words)
            if found is None:
                continue
            if _DENIED.search(slate.left[:start]):
                denied.append((start, end))
                continue
            worth = found[0] + _WORTH_OF_WORD * (j - i)
            if best is None or (worth, end - start) > (best[0], best[2] - best[1]):
                best = (worth, start, end, found[1])
    for span in denied:
        slate = slate.cover(*span)
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
    parts = text.split()
    talk = {parts[0], parts[-1]} & _LINKS or all(part in words("filler_words") for part in parts)
    if len(key) < 3 or key.isdigit() or (talk and key not in known.by_name):
        return None
    cued = bool(_CUE.search(left[:start])) or bool(_STORE_AFTER.match(left, end))
    is_product = all(singular(word) in product_words for word in normalise(text).split())
    cutoff = 100.0 if is_product else _SHORT if len(key) <= _SHORT_NAME else _CUED if cued else _UNCUED
    match = _nearest(key, known, cutoff)
    if match is None:
        return None
    follows = re.match(r"[ ]+(?P<w>[a-z']+)", left[end:])
    goes_on = bool(follows) and singular(normalise(follows["w"] if follows else "")) in product_words
    doubtful = is_product or match.score < _SURE or key in _PLACES_OF_GOODS
    if goes_on and doubtful and not (cued and _CUE.search(left[:start])):
        return None
    if is_product and not cued and not _alone(left, start, end):
        return None
    return match.score + (0.05 if cued else 0.0), match


def _alone(left: str, start: int, end: int) -> bool:
    """Say whether nothing but commas or what is covered stands around: "cranberry, last tuesday"."""
    return bool(re.search(r"(?:^|[,;\ue000])\s*$", left[:start])) and bool(re.match(r"\s*(?:$|[,;\ue000])", left[end:]))


def _nearest(key: str, known: Gazetteer, cutoff: float) -> StoreMatch | None:
    if key in known.by_name:
        return _match(known, key, 1.0)
    if cutoff >= 100:
        return None
    best = nearest_key(key, known.keys, cutoff)
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
    return key_of(text)
