"""The word lists that stand beside these modules: lower-case words, comments after #."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def words(name: str) -> frozenset[str]:
    """Return the words of `<name>.txt`."""
    text = resources.files("serve_apps.understanding").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
