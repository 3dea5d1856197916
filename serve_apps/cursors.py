"""Places in a list: opaque to callers, and worthless to forge since every page is read under the caller's scope."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import NamedTuple

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
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).rstrip(b"=").decode()


def parse_cursor(text: str) -> Place:
    """Return the place a cursor stands for. Raises InvalidInput for anything that is none of ours."""
    try:
        instant, digits, position = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        purchased_at = datetime.fromisoformat(instant)
        place = Place(purchased_at.astimezone(UTC), parse_receipt_id(digits), int(position))
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, InvalidInput):
        raise InvalidInput("cursor", _ACCEPTED) from None
    if purchased_at.tzinfo is None:
        raise InvalidInput("cursor", _ACCEPTED)
    return place
