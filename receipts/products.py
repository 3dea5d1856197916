"""What a product is called: till abbreviations spelt out, and the glosses that say what a category holds."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from receipts.text import normalise

_GLUE = "a and by for in like of on or per the to with after day back board box cold front other two"  # no goods
_MOST_GLOSSES = 3  # more of them blur the vector of a product that is one thing
_PLURAL_IES = re.compile(r"(?<=[a-z]{2})ies?$")
_PLURAL_ES = re.compile(r"(?<=ch|sh|ss|to)es$|(?<=x)es$")
_PLURAL_S = re.compile(r"(?<=[a-z]{2}[^su])s$")


def expand(text: str) -> str:
    """Return normalised words with till abbreviations spelt out: `CHIX BRST BNLS` is chicken breast boneless."""
    known = _abbreviations()
    return " ".join(known.get(word, word) for word in normalise(text).split())


def search_text(description: str, department: str, category: str) -> str:
    """Return what lexical search reads for a product: description, category and department, each word once."""
    words = f"{expand(description)} {expand(category)} {expand(department)}".split()
    return " ".join(dict.fromkeys(words))


def gloss_text(description: str, department: str, category: str) -> str:
    """Return what kind of thing a product is, in shoppers' words; empty when nothing is known of it.

    The category's own words come first (the department's where there is none), then the hand-written glosses
    whose words the description or the category hold, the most specific ones only.
    """
    kind = expand(category) or expand(department)
    parts = [kind, *_glosses_for(expand(description), kind)]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def singular(word: str) -> str:
    """Return one form for a noun and its plural, well enough to compare shopping words; cookie becomes cooky too."""
    for ending, instead in ((_PLURAL_IES, "y"), (_PLURAL_ES, ""), (_PLURAL_S, "")):
        if ending.search(word):
            return ending.sub(instead, word)
    return word


@cache
def shopping_words() -> frozenset[str]:
    """Return the nouns, in the singular, that goods are called by, whatever the catalogue holds."""
    return frozenset(word for words, gloss in _glosses() for word in words | _words(gloss)) - frozenset(_GLUE.split())


def _words(text: str) -> frozenset[str]:
    return frozenset(singular(word) for word in normalise(text).split())


def _glosses_for(name: str, kind: str) -> list[str]:
    named = _words(name)
    every = named | _words(kind)  # a gloss may take its words from both: "brie" from the name, "cheese" from the kind
    held = [(words, gloss) for words, gloss in _glosses() if words <= every]
    ranked = sorted(held, key=lambda pair: (-len(pair[0] & named), -len(pair[0]), pair[1]))
    kept: list[tuple[frozenset[str], str]] = []
    for words, gloss in ranked:
        # "roquefort" already says that it is cheese: the general gloss would only blur it.
        if not any(words <= _words(said) | others for others, said in kept):
            kept.append((words, gloss))
    return [gloss for _, gloss in kept[:_MOST_GLOSSES]]


@cache
def _abbreviations() -> dict[str, str]:
    return dict(_rows("till_abbreviations.tsv"))


@cache
def _glosses() -> tuple[tuple[frozenset[str], str], ...]:
    return tuple((_words(words), gloss) for words, gloss in _rows("product_glosses.tsv"))


def _rows(name: str) -> list[tuple[str, str]]:
    lines = resources.files("receipts").joinpath(name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return [(left, right) for left, right in pairs]
