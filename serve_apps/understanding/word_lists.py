"""The word lists that stand beside these modules: lower-case words, comments after #."""

from __future__ import annotations

from functools import cache
from importlib import resources

from receipts.products import shopping_words, singular


@cache
def words(name: str) -> frozenset[str]:
    """Return the words of `<name>.txt`."""
    return frozenset(word for line in _lines(name) for word in line.split())


@cache
def retail_words() -> frozenset[str]:
    """Return the words, in the singular, that goods are called by, whatever this shop's catalogue holds."""
    return shopping_words() | frozenset(map(singular, words("goods")))


@cache
def phrases(name: str) -> frozenset[str]:
    """Return the phrases of `<name>.txt`, which commas part."""
    return frozenset(phrase.strip() for line in _lines(name) for phrase in line.split(",") if phrase.strip())


def _lines(name: str) -> list[str]:
    text = resources.files("serve_apps.understanding").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]
