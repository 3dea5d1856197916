"""Corrections written as `path=value`, made in the JSON of a refused record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from receipts.errors import InvalidInput


def corrected(payload: str, changes: Iterable[str]) -> bytes:
    """Return the record with changes such as `lines.0.description="Milk"` made, in the given order.

    A value that is JSON is taken as such, any other as text; `null` leaves the field out. Raises InvalidInput naming
    what cannot be done.
    """
    try:
        record: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise InvalidInput("payload", "is no JSON, so no part of it can be set: give the whole record") from None
    for change in changes:
        path, equals, value = change.partition("=")
        if not (equals and path):
            raise InvalidInput("set", 'expected path=value, such as lines.0.description="Milk"')
        _set(record, path, _value(value))
    return orjson.dumps(record)


def _value(text: str) -> Any:  # noqa: ANN401 - a JSON value is of any of its types
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _set(record: Any, path: str, value: object) -> None:  # noqa: ANN401 - as above
    *through, last = path.split(".")
    try:
        for step in through:
            record = record[int(step)] if isinstance(record, list) else record[step]
        if isinstance(record, list):
            record[int(last)] = value
        elif value is None:
            record.pop(last, None)
        else:
            record[last] = value
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        raise InvalidInput("set", "the record has no such path") from None
