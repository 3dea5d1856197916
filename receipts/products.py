"""What a product is called: till abbreviations spelt out, and the glosses that say what a category holds."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from receipts.text import normalise

_GLUE = (  # words of the glosses that are no goods
    "a and by for in like of on or per the to with after day back board box cold front other two "
    "aging anti based can chilled club contact counter cuisine decor drop easy end feeding finger flat free functional "
    "general gentle go good homemade instant international jarred joint kid len loose merchandise more nice non odd "
    "over package packaged period personal preparation prepared preserved refrigerated replacement ring room rub "
    "seasonal shake smell sold solution squeeze stir stock training treatment workout world"
)
_MOST_GLOSSES = 3  # more of them blur the vector of a product that is one thing
_MOST_CONCEPTS = 2  # as above
_UNSORTED = frozenset({"missing", "other", "unknown", "misc", "miscellaneous", "none", "n a", "uncategorized"})
_MEASURE = re.compile(  # of a text that is normalised, where 8.5 is two numbers
    r"(?:\b\d+ )*\b\d+ ?(?:fl )?(?:oz|ounces?|lbs?|pounds?|ct|counts?|pk|packs?|l|ltr|liters?|ml|g|kg|gal|gallons?|qt|"
    r"quarts?|pt|pints?|in|inch|ft|pc|pieces?|dz|doz|dozen)\b|\b(?:each|ea)\b"
)
_PLURAL_IES = re.compile(r"(?<=[a-z]{2})ies?$")
_PLURAL_ES = re.compile(r"(?<=ch|sh|ss|to)es$|(?<=x)es$")
_PLURAL_S = re.compile(r"(?<=[a-z]{2}[^su])s$")


def expand(text: str) -> str:
    """Return normalised words with till abbreviations spelt out: `CHIX BRST BNLS` is chicken breast boneless."""
    known = _abbreviations()
    return " ".join(known.get(word, word) for word in normalise(text).split())


def without_measures(spelt: str) -> str:
    """Return expanded words without package sizes, which say nothing of what a thing is; a size alone stays."""
    return " ".join(_MEASURE.sub(" ", spelt).split()) or spelt


def search_text(description: str, department: str, category: str) -> str:
    """Return what lexical search reads for a product, in parts between bars: its name, its place, its concepts.

    A word stands once in a part. Search tells by the part whether a product is called so or only is so.
    """
    place = f"{expand(category)} {expand(department)}"
    parts = (expand(description), place, concept_text(description, department, category))
    return " | ".join(" ".join(dict.fromkeys(normalise(part).split())) for part in parts)


def kind_text(description: str, department: str, category: str) -> str:
    """Return what kind of thing a product is, in shoppers' words; empty when nothing is known of it.

    The category's own words come first (the department's where there is none), then the glosses whose words it
    holds, the most specific ones only. The description may add to them, not stand for them: "cheese" and "shredded"
    may meet from both, but peanut butter among the sweets is no butter.
    """
    kind = _kind(department, category)
    at_home, named = _words(kind), _words(expand(description))
    held = [(words, gloss) for words, gloss in _glosses() if words <= at_home | named and words & at_home]
    ranked = sorted(held, key=lambda pair: (-len(pair[0]), -len(pair[0] & at_home), pair[1]))
    parts = [kind, *(gloss for _, gloss in _most_specific(ranked)[:_MOST_GLOSSES])]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def concept_text(description: str, department: str, category: str) -> str:
    """Return what a product's name does not say and shoppers ask for: Roquefort is a fancy blue cheese. Often empty."""
    named, kind = _words(expand(description)), _words(_kind(department, category))
    found: dict[str, frozenset[str]] = {}
    for word in named:
        for member, concept, holds in _concepts().get(word, ()):
            if member <= named and holds.among(kind):
                found[concept] = max(found.get(concept, frozenset()), member, key=len)
    ranked = sorted(((words, concept) for concept, words in found.items()), key=lambda pair: (-len(pair[0]), pair[1]))
    return ", ".join(concept for _, concept in _most_specific(ranked)[:_MOST_CONCEPTS])


def singular(word: str) -> str:
    """Return one form for a noun and its plural, well enough to compare shopping words; cookie becomes cooky too."""
    for ending, instead in ((_PLURAL_IES, "y"), (_PLURAL_ES, ""), (_PLURAL_S, "")):
        if ending.search(word):
            return ending.sub(instead, word)
    return word


@cache
def shopping_words() -> frozenset[str]:
    """Return the nouns, in the singular, that goods are called by, whatever the catalogue holds."""
    return _words_told("product_glosses.tsv") - frozenset(_GLUE.split())


@cache
def told_words() -> frozenset[str]:
    """Return every word, in the singular, that goods are described with here: makers' names and "movie" too."""
    return _words_told("product_glosses.tsv") | _words_told("product_concepts.tsv")


def _words_told(name: str) -> frozenset[str]:
    return frozenset().union(*(_words(text) for row in _rows(name) for text in row))


def _words(text: str) -> frozenset[str]:
    return frozenset(singular(word) for word in normalise(text).split())


def _kind(department: str, category: str) -> str:
    """Return the category spelt out, else the department; empty where both only say that nobody sorted the product."""
    spelt = (expand(category), expand(department))
    return next((text for text in spelt if text and text not in _UNSORTED), "")


def _most_specific(ranked: list[tuple[frozenset[str], str]]) -> list[tuple[frozenset[str], str]]:
    """Leave out what a more specific one says already: "cheese" beside "specialty cheese" would only blur it."""
    kept: list[tuple[frozenset[str], str]] = []
    for words, said in ranked:
        if not any(words < others for others, _ in kept):
            kept.append((words, said))
    return kept


@cache
def _abbreviations() -> dict[str, str]:
    return dict(_rows("till_abbreviations.tsv"))


class _Kinds(NamedTuple):
    """The kinds that a concept holds for."""

    one: frozenset[str]
    every: frozenset[str]
    none: frozenset[str]

    def among(self, kind: frozenset[str]) -> bool:
        held = (not self.one or bool(self.one & kind)) and self.every <= kind and not self.none & kind
        return held or not kind


@cache
def _concepts() -> dict[str, list[tuple[frozenset[str], str, _Kinds]]]:
    """Return by one of its words each member's words, the concept and its kinds."""
    by_word: dict[str, list[tuple[frozenset[str], str, _Kinds]]] = {}
    for concept, rest in _rows("product_concepts.tsv"):
        within, members = rest.split("\t")
        told = within.split()
        kinds = _Kinds(_marked(told, ""), _marked(told, "+"), _marked(told, "!"))
        for member in members.split(","):
            words = _words(member)
            by_word.setdefault(min(words), []).append((words, concept, kinds))
    return by_word


def _marked(told: list[str], mark: str) -> frozenset[str]:
    return frozenset(
        singular(word.lstrip("+!"))
        for word in told
        if word != "-" and word.rstrip("abcdefghijklmnopqrstuvwxyz") == mark
    )


@cache
def _glosses() -> tuple[tuple[frozenset[str], str], ...]:
    return tuple((_words(words), gloss) for words, gloss in _rows("product_glosses.tsv"))


def _rows(name: str) -> list[tuple[str, str]]:
    lines = resources.files("receipts").joinpath(name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return [(left, right) for left, right in pairs]
