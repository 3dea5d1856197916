"""Questions that name products outright, made from a catalogue by a seed: two words, and names with a typing error."""

from __future__ import annotations

import random
import string
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cluster.evaluations.catalogues import Article
from receipts.products import expand, singular

_LEAST_NAMES = 10  # that hold both words: ten places can be filled
_SHORTEST_WORD, _SHORTEST_TYPED = 3, 4
_WORDS = range(2, 9)  # of a name that somebody types whole
_GLUE = frozenset({"and", "for", "with", "the", "from"})


@dataclass(frozen=True, slots=True)
class LiteralQuery:
    """What is typed, and the SKUs whose names are what was meant."""

    typed: str
    meant: frozenset[str]


def two_word_queries(articles: Sequence[Article], wanted: int, seed: int) -> list[LiteralQuery]:
    """Return pairs of words that stand side by side in names, each pair in ten names or more in any order."""
    holders: dict[str, set[str]] = defaultdict(set)
    pairs: set[tuple[str, str]] = set()
    for article in articles:
        words = [singular(word) for word in expand(article.description).split() if word not in _GLUE]
        for word in words:
            holders[word].add(article.sku)
        plain = [word for word in words if word.isalpha() and len(word) >= _SHORTEST_WORD]
        pairs.update(pair for pair in pairwise(plain) if pair[0] != pair[1])
    found = {pair: holders[pair[0]] & holders[pair[1]] for pair in pairs}
    often = sorted(pair for pair, skus in found.items() if len(skus) >= _LEAST_NAMES)
    chosen = random.Random(seed).sample(often, min(wanted, len(often)))  # noqa: S311  the same questions in every run
    return [LiteralQuery(" ".join(pair), frozenset(found[pair])) for pair in chosen]


def misspelt_names(articles: Sequence[Article], wanted: int, seed: int) -> list[LiteralQuery]:
    """Return whole names with one typing error in one word: a letter left out, doubled up, mistaken or swapped."""
    called: dict[str, list[str]] = defaultdict(list)
    for article in articles:
        called[expand(article.description)].append(article.sku)
    names = sorted(name for name in called if len(name.split()) in _WORDS and any(_places(name.split())))
    chance = random.Random(seed)  # noqa: S311  as above
    chosen = chance.sample(names, min(wanted, len(names)))
    return [LiteralQuery(_misspelt(name, chance), frozenset(called[name])) for name in chosen]


def _places(words: Sequence[str]) -> Iterator[int]:
    return (place for place, word in enumerate(words) if word.isalpha() and len(word) >= _SHORTEST_TYPED)


def _misspelt(name: str, chance: random.Random) -> str:
    words = name.split()
    place = chance.choice(list(_places(words)))
    right = words[place]
    while words[place] == right:  # two letters that are the same swap to nothing
        words[place] = _with_error(right, chance)
    return " ".join(words)


def _with_error(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)  # people get the first letter right
    letter = chance.choice(string.ascii_lowercase)
    left, here, after, right = word[:at], word[at], word[at + 1], word[at + 2 :]
    return chance.choice(
        [
            left + after + right,
            left + letter + here + after + right,
            left + letter + after + right,
            left + after + here + right,
        ]
    )


def words_of(articles: Sequence[Article]) -> Counter[str]:
    """Return how many names hold each word."""
    return Counter(word for article in articles for word in set(expand(article.description).split()))
