"""Which of the words that nothing else claimed are goods: those that somebody bought, or that stand by themselves.

A note ("milk, eggs, 11/2") is read differently from a story ("we lost the slip on the bus home"). In a story only what
shops sell is goods, and only where nothing in the sentence is said to have been bought.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from serve_apps.understanding.word_lists import words

_BETWEEN = (
    r"(?:(?:a|an|the|some|of|his|her|my|their|our|your|this|that|these|those|any|two|three|four|five|six|\d+|\d+x|x|couple|few|pair|pairs|bunch|bag|bags|"
    r"box|boxes|jar|jars|can|cans|bottle|bottles|pack|packs|package|case|cases|carton|dozen|lot|lots|kind|sort|type|big|large|small|"
    r"little|new|more|extra|just|only|also|maybe|like|couple\s+of|bunch\s+of)\s+)*$"
)
_BOUGHT = re.compile(
    r"\b(?:bought|buys?|buying|gets?|got|getting|purchas(?:e|ed|es|ing)(?:\s+of)?|pick(?:s|ed|ing)?\s+up|grab(?:s|bed|bing)?|order(?:s|ed|ing)?|"
    r"for|find|need(?:s|ed)?|want(?:s|ed)?|return(?:s|ed|ing)?|refund(?:ed)?|exchange[ds]?|sold|took|taking|ha[ds]|have|see|about|regarding|records?\s+of|copy\s+of|it\s+was|it's|(?:items?|things?|products?)\s+(?:was|were|are|is)|stocked\s+up\s+on|"
    r"spent\s+\S+\s+on|item\s*:|items\s*:)\s+" + _BETWEEN
)
_WITHOUT = re.compile(
    r"\b(?:no|not|without|except(?:\s+for)?|minus|didn'?t\s+(?:buy|get|have|take)|never\s+(?:bought|got|had))\s+(?:(?:the|any|a|an)\s+)*$"
)
STORY = frozenset(
    (
        "i", "he", "she", "we", "they", "you", "it", "was", "were", "is", "are", "am", "be", "been", "has", "have", "had",
        "said", "says", "say", "told", "thinks", "when", "because", "where", "who", "which", "what", "so", "if", "then",
        "me", "him", "us", "them", "can't", "could", "would", "will", "won't", "did", "does", "didn't", "don't", "still",
        "now", "there", "isn't", "wasn't", "weren't", "aren't", "i'm", "it's", "he's", "she's", "they're", "that's",
        "went", "goes", "came", "not", "never", "how", "why",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase: where it stands, whether shops sell such things, and the segment of the sentence it stands in."""

    first: int
    last: int
    is_sold: bool
    segment: tuple[int, int]


def goods_among(left: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are goods, in their order."""
    told = [
        one
        for one in candidates
        if _is_bought(left, one) or _is_note(left, one) or (one.is_sold and is_denied(left, one))
    ]
    return told or [one for one in candidates if one.is_sold]


def is_denied(left: str, one: Candidate) -> bool:
    """Say whether it was not bought: "no milk", "not the tuna"."""
    return bool(_WITHOUT.search(left[: one.first]))


def _is_bought(left: str, one: Candidate) -> bool:
    """Say whether it follows a word for buying, with nothing but articles and packaging between."""
    return bool(_BOUGHT.search(left[: one.first]))


def _is_note(left: str, one: Candidate) -> bool:
    """Say whether it stands by itself: no word of its segment tells a story."""
    start, end = one.segment
    around = f"{left[start : one.first]} {left[one.last : end]}".split()
    bare = [word.strip("'.-_~$#@^") for word in around]
    return not any(word in STORY or (word in words("small_talk") and not one.is_sold) for word in bare)
