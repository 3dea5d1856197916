"""Typing errors in words for products, put right by the words that the catalogue has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from receipts.products import expand, singular, told_words
from receipts.sentence_model import english_words

_SHORTEST = 4  # shorter words have too many neighbours
_TWO_ERRORS = 8  # letters from which a second error is believed
_RARE, _COMMONER = 3, 100  # products that hold a word which may be an error, and how many times as many its neighbour
_RARE_SHORTEST = 6  # a short rare word is as likely a name of its own: crepe beside creme


@dataclass(frozen=True, slots=True)
class Spelling:
    """Words of the catalogue with the number of products that hold each, and their singulars."""

    words: Mapping[str, int]
    singulars: frozenset[str]

    @classmethod
    def of(cls, words: Mapping[str, int]) -> Spelling:
        """Return the spelling of a catalogue's words."""
        return cls(words, frozenset(singular(word) for word in words))

    def corrected(self, phrase: str) -> str:
        """Return a phrase with abbreviations spelt out and misspelt words replaced by the catalogue's likeliest.

        A word that is English is left alone though no product has it: "expensive" is no error for "extensive".
        """
        return " ".join(self._corrected(word) for word in expand(phrase).split())

    def _corrected(self, word: str) -> str:
        if len(word) < _SHORTEST or not word.isalpha() or _is_english(word):
            return word
        held = self.words.get(word, 0)
        if not held and word.endswith("y") and f"{word[:-1]}ie" in self.words:
            return f"{word[:-1]}ie"  # rotissery, which has the singular of rotisseries
        if not held and any(form in self.singulars or form in told_words() for form in _forms(word)):
            return word
        if held > _RARE or (held and len(word) < _RARE_SHORTEST):
            return word
        errors = 2 if len(word) >= _TWO_ERRORS and not held else 1
        near = process.extract(word, self.words.keys(), scorer=OSA.distance, score_cutoff=errors, limit=None)
        # One error before two, then the initial that people get right, then what is sold under most names.
        ranked = sorted((far, found[:1] != word[0], -self.words[found], found) for found, far, _ in near if far)
        # Catalogues hold errors of their own: a name that one product has is one, if hundreds have its neighbour.
        return ranked[0][-1] if ranked and -ranked[0][2] >= held * _COMMONER else word


def _forms(word: str) -> Iterator[str]:
    """Yield the forms that a word which is none of the catalogue's may have there: grate, grated and grating."""
    stem = word.removesuffix("e")
    yield from (singular(word), f"{stem}ed", f"{stem}ing")


def _is_english(word: str) -> bool:
    """Say whether a word is common English, or two such words in one: hangover."""
    known = english_words()
    halves = range(_SHORTEST, len(word) - _SHORTEST + 1)
    return word in known or any(word[:at] in known and word[at:] in known for at in halves)
