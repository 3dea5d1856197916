"""Places in a list: opaque to callers, and worthless to forge since every page is read under the caller's scope."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from receipts.errors import InvalidInput
from receipts.identity import parse_receipt_id

_ACCEPTED = "expected the next_cursor of the page before, unchanged"


class Place(NamedTuple):
    """Where a page begins: after this receipt, in falling order of both.

    `position` is how far the database had been written when the page before was read: a standby that has not followed
    so far may lack receipts of the next one.
    """

    purchased_at: datetime
    receipt_id: str
    position: int = 0


START = Place(datetime.max.replace(tzinfo=UTC), "")


def encode_cursor(place: Place) -> str:
    """Return the text that stands for a place."""
    return pack(place)


def parse_cursor(text: str) -> Place:
    """Return the place a cursor stands for. Raises InvalidInput for anything that is none of ours."""
    with reading():
        instant, digits, position = unpack(text)
        return Place(instant_of(instant), parse_receipt_id(digits), int(position))


def pack(values: Sequence[object]) -> str:
    """Return the text of a cursor that holds these values."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).rstrip(b"=").decode()


def unpack(text: str) -> list[Any]:
    """Return the values of a cursor, not yet believed: read them inside of `reading`."""
    return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def instant_of(text: str) -> datetime:
    """Return an instant of a cursor. Raises ValueError for a time of no zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError
    return instant.astimezone(UTC)


@contextmanager
def reading() -> Generator[None]:
    """Turn whatever a forged cursor makes of its reading into InvalidInput."""
    try:
        yield
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, InvalidInput):
        raise InvalidInput("cursor", _ACCEPTED) from None
