"""A promise that was found broken, as those tell it that hold what happened against what was promised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breach:
    """A way in which the promise is broken, how often, and the first cases it is broken for."""

    what: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.count} {self.what}: {', '.join(self.examples)}"
