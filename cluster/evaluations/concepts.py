"""Labelled questions for products: a concept in somebody's words, and what in a catalogue answers it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cluster.evaluations.catalogues import Article
from receipts.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Concept:
    """A question. An article answers it if its name has one of `relevant`, none of `exclude`, and its aisle fits."""

    id: str
    query: str
    relevant: tuple[re.Pattern[str], ...]
    exclude: tuple[re.Pattern[str], ...]
    aisles: frozenset[str] | None  # categories of the catalogue; None is any

    def answers(self, articles: Sequence[Article]) -> frozenset[str]:
        """Return the SKUs of the articles that answer the question."""
        return frozenset(a.sku for a in articles if self._is_answered_by(a))

    def _is_answered_by(self, article: Article) -> bool:
        fits = self.aisles is None or article.category in self.aisles
        has, lacks = self.relevant, self.exclude
        return fits and any(p.search(article.name) for p in has) and not any(p.search(article.name) for p in lacks)


def own_concepts() -> list[Concept]:
    """Return the questions for the project's own catalogue."""
    return _parsed(
        resources.files("cluster.evaluations").joinpath("concepts.jsonl").read_text("utf-8"), "concepts.jsonl"
    )


def read_concepts(path: Path) -> list[Concept]:
    """Return the questions of a file, one JSON object a line. Raises InvalidInput for anything else."""
    if not path.is_file():
        raise InvalidInput("semantic", f"{path} is no file")
    return _parsed(path.read_text("utf-8"), str(path))


def _parsed(text: str, where: str) -> list[Concept]:
    try:
        return [_concept(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise InvalidInput("semantic", f"{where} holds a line that is no labelled question: {error}") from error


def _concept(told: dict[str, object]) -> Concept:
    relevant, exclude, aisles = told["relevant"], told.get("exclude") or [], told.get("aisles")
    if not isinstance(relevant, list) or not isinstance(exclude, list) or not isinstance(aisles, list | None):
        raise TypeError("relevant, exclude and aisles are lists")
    return Concept(
        id=str(told["id"]),
        query=str(told["query"]),
        relevant=tuple(re.compile(str(pattern), re.IGNORECASE) for pattern in relevant),
        exclude=tuple(re.compile(str(pattern), re.IGNORECASE) for pattern in exclude),
        aisles=None if aisles is None else frozenset(str(aisle) for aisle in aisles),
    )
