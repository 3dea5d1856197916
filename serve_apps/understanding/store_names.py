"""How the name of a store may be written: words cut short and spelt out, each name as keys without spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, product

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, JaroWinkler

from receipts.text import normalise

_MOST_KEYS = 48  # of a name: three words with ten forms each would be a thousand
_MOST_FORMS, _MOST_VARIED = 8, 4  # of a word, itself included; and words of a name that are written otherwise
_SHARED, _COMPARED = 0.25, 64  # two edits leave more of a key's pairs of letters; so many keys are compared
_NEAR = 8  # of those nearest by letters held in common, the one with the fewest edits is taken
# Words and what they are cut to; any of a line may be written for any other. "st" is a saint and a street.
_FORMS = (
    "north n no nth nrth", "south s so sth", "east e est", "west w wst", "upper u upr up", "lower l lwr low",
    "northeast ne", "northwest nw", "southeast se", "southwest sw", "central cent ctrl cntrl", "new nw",
    "mount mt mnt", "mountain mtn mt", "saint st", "sainte ste st", "street st str", "fort ft", "port pt prt",
    "point pt pnt", "heights hts hgts hghts ht height", "township twp tnshp twnshp tsp", "square sq sqr",
    "center centre ctr cntr cen", "town towne twn", "park pk prk", "parkway pkwy pky", "boulevard blvd bvd boul",
    "avenue ave av aven", "road rd", "drive dr drv", "lane ln", "place pl", "court ct", "circle cir", "plaza plz plza",
    "highway hwy", "route rt rte", "turnpike tpke tpk", "terrace ter terr", "hill hl", "hills hls hlls",
    "valley vly val vlly", "village vlg vill vil villge", "grove grv gr", "green grn", "creek crk ck", "ridge rdg",
    "spring spg spr", "springs spgs sprgs spr", "falls fls", "lake lk", "lakes lks", "island isl is", "river riv rvr",
    "junction jct jctn", "crossing xing crssg", "crossings xings", "bridge brdg br", "beach bch", "borough boro",
    "city cty", "county co cnty", "district dist", "market mkt", "mills mls", "mill ml", "meadow mdw", "meadows mdws",
    "gardens gdns", "garden gdn", "field fld", "fields flds", "forest frst for", "church ch", "station sta stn",
    "university univ u", "shopping shop", "pittsburgh pgh pitt pitts pittsburg pbg", "saints sts", "and &", "side sd",
    "big bg", "little ltl lil", "great gt grt", "glen gln", "haven hvn", "view vw", "vista vis", "woods wds",
    "liberty lib lbrty", "squirrel sq sqrl", "washington wash", "philadelphia phila philly",
)  # fmt: skip
_DRESSING = re.compile(
    r"^(?:the|your|our|giant eagle|market district|store (?:at|in|on)|at|in)\s+|"
    r"\s+(?:store|location|shop|branch|supermarket|giant eagle|pa|penna|pennsylvania|pittsburgh|pgh)$"
)


def key_of(text: str) -> str:
    """Return a name as it is compared: normalised, a genitive's s and all spaces removed."""
    return normalise(re.sub(r"'s$", "", text.strip())).replace(" ", "")


def keys_of(name: str) -> Iterator[str]:
    """Yield the keys of a name as people may write it, its own first."""
    words = normalise(re.sub(r"'s$", "", name.strip())).split()
    forms = [(word, *_forms().get(word, ())) for word in words]
    yield from islice(dict.fromkeys(map("".join, _usual_first(forms))), _MOST_KEYS)


def bare(text: str) -> str:
    """Return a text without what stands around a store's name: "the Shadyside store" is Shadyside."""
    plain = normalise(text)
    while (shorter := _DRESSING.sub("", plain)) != plain and shorter:
        plain = shorter
    return plain


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """Keys by their pairs of letters: thousands are narrowed to dozens before one is compared."""

    keys: tuple[str, ...]
    holding: dict[str, npt.NDArray[np.int32]]  # a pair of letters: the places of the keys that have it
    sizes: npt.NDArray[np.float32]  # how many pairs each key has


def index_keys(keys: Iterable[str]) -> KeyIndex:
    """Index keys by the pairs of letters in them, their ends included."""
    known = tuple(keys)
    holding: dict[str, list[int]] = {}
    pairs = [_pairs(key) for key in known]
    for place, of in enumerate(pairs):
        for pair in of:
            holding.setdefault(pair, []).append(place)
    return KeyIndex(
        known,
        {pair: np.array(places, np.int32) for pair, places in holding.items()},
        np.array([len(of) for of in pairs], np.float32),
    )


def nearest_key(key: str, index: KeyIndex, cutoff: float) -> tuple[str, float] | None:
    """Return the key most like another with its likeness of 0..100, by letters in common; then by edits."""
    pairs = _pairs(key)
    shared = np.zeros(len(index.keys), np.float32)
    for pair in pairs:
        if (places := index.holding.get(pair)) is not None:
            shared[places] += 1
    likely = 2 * shared / (index.sizes + len(pairs))
    places = np.flatnonzero(likely >= _SHARED)
    if len(places) > _COMPARED:
        places = places[np.argpartition(likely[places], -_COMPARED)[-_COMPARED:]]
    others = [index.keys[place] for place in places]
    near = process.extract(key, others, scorer=fuzz.ratio, score_cutoff=cutoff, limit=_NEAR)
    if not near:
        return None
    best = max(near, key=lambda found: (_worth(key, found[0], found[1]), -len(found[0]), found[0]))
    return best[0], best[1]


def _pairs(key: str) -> set[str]:
    ended = f"^{key}$"
    return {ended[i : i + 2] for i in range(len(ended) - 1)}


def _worth(key: str, other: str, ratio: float) -> float:
    """Return what orders keys: letters two edits apart may be one swap, which the ratio alone counts twice."""
    return ratio + 100 * OSA.normalized_similarity(key, other) + 10 * JaroWinkler.normalized_similarity(key, other)


def _usual_first(forms: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the products of forms: the plain name, then the usual forms before the rare ones."""
    varied = 0
    ranges: list[range] = []
    for form in forms:
        varied += len(form) > 1
        ranges.append(range(min(len(form), _MOST_FORMS) if varied <= _MOST_VARIED else 1))
    return [
        tuple(form[place] for form, place in zip(forms, places, strict=True))
        for places in sorted(product(*ranges), key=sum)
    ]


@cache
def _forms() -> dict[str, tuple[str, ...]]:
    groups: dict[str, dict[str, None]] = {}
    for line in _FORMS:
        words = line.split()
        for word in words:
            groups.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
    return {word: tuple(group) for word, group in groups.items()}
