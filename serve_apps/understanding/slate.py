"""The sentence as it is worked off: what has been understood is covered, so that nothing is read twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

COVER = "\ue000"  # no word, no space: phrases cannot reach across what is covered
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " ", COVER: " "}
)


@dataclass(frozen=True, slots=True)
class Slate:
    """`text` as typed; `left` in lower case, of the same length, with the understood parts covered."""

    text: str
    left: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Start with nothing covered."""
        plain = text.translate(_PLAIN)
        # A few characters change length in lower case (İ); those stay, so that spans hold.
        return cls(text, "".join(c.lower() if len(c.lower()) == 1 else c for c in plain))

    def cover(self, start: int, end: int) -> Slate:
        """Return a slate on which this stretch is covered."""
        return Slate(self.text, self.left[:start] + COVER * (end - start) + self.left[end:])

    def said(self, start: int, end: int) -> str:
        """Return what was typed there."""
        return self.text[start:end]
