"""What a search answers: receipts, why each was found, and what was understood."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from datetime import date, datetime
from typing import Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict

from receipts.errors import InvalidInput
from serve_apps.summaries import ReceiptSummary
from serve_apps.understanding.query import Kind, Mention

_MOST_STEPS = 20  # more than any search can be loosened by


class Place(NamedTuple):
    """The last hit of a page, after which the next begins, and how many steps the search had been loosened by."""

    steps: int = 0
    score: float | None = None
    purchased_at: str | None = None
    receipt_id: str | None = None


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Match(_Value):
    """Why a receipt was found, by one field."""

    field: Kind
    kind: Literal["exact", "approximate"]
    reason: str


class Highlight(_Value):
    """A line of the receipt that is what was asked for."""

    line_number: int
    description: str


class Hit(_Value):
    """A receipt that fits; `score` is 0..1 as documented at search.search_receipts."""

    receipt: ReceiptSummary
    score: float
    matched_on: list[Match]
    highlights: list[Highlight]


class Understood(_Value):
    """A part of the question and what it was taken for; `span` counts characters, end excluded.

    `confidence` is 0..1: 1 for what is written out, less for what is near or left over.
    """

    kind: Kind
    text: str
    value: str
    span: tuple[int, int]
    confidence: float = 1.0


class SearchAnswer(_Value):
    """A page of hits, the best first. `relaxations` says what was given up because nothing fitted.

    `searched_from` is the day back to which receipts were looked at, because so many fit; null means all of them.
    """

    hits: list[Hit]
    understood: list[Understood]
    relaxations: list[str]
    searched_from: date | None
    next_cursor: str | None
    took_ms: float


def understood(mention: Mention) -> Understood:
    """Return a mention as the answer shows it."""
    return Understood(
        kind=mention.kind, text=mention.text, value=mention.value, span=mention.span, confidence=mention.confidence
    )


def encode_place(place: Place, question: str) -> str:
    """Return an opaque cursor: a place in the answers to one question."""
    body = orjson.dumps([*place, _digest(question)])
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def parse_place(cursor: str | None, question: str) -> Place:
    """Return the place a cursor stands for, the beginning without one. Raises InvalidInput for another question's."""
    if cursor is None:
        return Place()
    try:
        *place, digest = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        steps, score, purchased_at, receipt_id = place
        found = Place(int(steps), float(score), datetime.fromisoformat(purchased_at).isoformat(), str(receipt_id))
    except (binascii.Error, ValueError, TypeError, OverflowError):
        found, digest = Place(), ""
    if digest != _digest(question) or not 0 <= found.steps <= _MOST_STEPS or not math.isfinite(found.score or 0):
        raise InvalidInput("cursor", "expected the next_cursor of the page before, with the same question")
    return found


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
