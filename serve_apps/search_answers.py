"""What a search answers: receipts, why each was found, and what was understood."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from receipts.errors import InvalidInput
from serve_apps.summaries import ReceiptSummary
from serve_apps.understanding.query import Kind, Mention

MOST_PLACES = 1_000  # as deep as pages go; who is not found by then needs another question


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
    """A part of the question and what it was taken for; `span` counts characters, end excluded."""

    kind: Kind
    text: str
    value: str
    span: tuple[int, int]


class SearchAnswer(_Value):
    """A page of hits, the best first. `relaxations` says what was given up because nothing fitted."""

    hits: list[Hit]
    understood: list[Understood]
    relaxations: list[str]
    next_cursor: str | None
    took_ms: float


def understood(mention: Mention) -> Understood:
    """Return a mention as the answer shows it."""
    return Understood(kind=mention.kind, text=mention.text, value=mention.value, span=mention.span)


def encode_place(offset: int, question: str) -> str:
    """Return an opaque cursor: a place in the answers to one question."""
    body = orjson.dumps([offset, _digest(question)])
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def parse_place(cursor: str | None, question: str) -> int:
    """Return the place a cursor stands for, 0 without one. Raises InvalidInput for another question's cursor."""
    if cursor is None:
        return 0
    try:
        offset, digest = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        offset, digest = -1, ""
    if not (isinstance(offset, int) and 0 < offset <= MOST_PLACES and digest == _digest(question)):
        raise InvalidInput("cursor", "expected the next_cursor of the page before, with the same question")
    return offset


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
