"""The single values in rows, also those inside lists, structs and JSON texts, and how to put others in their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

Row = dict[str, Any]
Change = Callable[[str, Any], Any]  # takes the path of a value, as lines.sku, and the value


def change_leaves(
    rows: Iterable[Row], change: Change, *, into_json: bool = True, shortened: str | None = None
) -> list[Row]:
    """Return rows with every single value replaced by what `change` makes of it, and one list `shortened`."""
    walk = _Walk(change, into_json, shortened)
    return [{name: walk.through(value, name) for name, value in row.items()} for row in rows]


def collect_leaves(rows: Iterable[Row], *, into_json: bool = True) -> dict[str, list[Any]]:
    """Return the values under each path in the order they stand in."""
    found: dict[str, list[Any]] = {}

    def note(path: str, value: Any) -> Any:  # noqa: ANN401  any value there is
        found.setdefault(path, []).append(value)
        return value

    change_leaves(rows, note, into_json=into_json)
    return found


def list_paths(rows: Iterable[Row]) -> list[str]:
    """Return the paths of lists, also those in JSON texts."""
    return list(dict.fromkeys(path for row in rows for name, value in row.items() for path in _lists(value, name)))


def shorten_lists(rows: Iterable[Row], path: str) -> list[Row]:
    """Return rows without the last element of every list under a path."""
    return change_leaves(rows, lambda _, value: value, shortened=path)


def put_leaves(rows: Iterable[Row], path: str, values: Sequence[Any]) -> list[Row]:
    """Return rows with other values under a path, as many as there are."""
    following = iter(values)
    return change_leaves(rows, lambda at, value: next(following) if at == path else value)


def new_values(values: Sequence[Any]) -> list[Any]:
    """Return other values of the same types, equal where these are equal: what belongs together stays together."""
    return [_other(value) for value in values]


def mixed_values(values: Sequence[Any], *, missing: bool) -> Iterator[list[Any]]:
    """Yield values mixed up, so that what belonged together does no more: moved on, moved far, some `missing`."""
    known = [value for value in values if value is not None]
    for step in (1, 5):
        at = step % len(known) if known else 0
        moved = iter(known[at:] + known[:at])
        yield [None if value is None else next(moved) for value in values]
    if missing:
        yield [None if number % 3 == 0 else value for number, value in enumerate(values)]


def field_paths(schema: pa.Schema) -> list[str]:
    """Return the paths of a schema's single values."""
    return [path for field in schema for path in _paths(field.name, field.type)]


def _paths(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_list(kind):
        yield from _paths(path, kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _paths(f"{path}.{field.name}", field.type)
    else:
        yield path


@dataclass(frozen=True, slots=True)
class _Walk:
    change: Change
    into_json: bool
    shortened: str | None

    def through(self, value: Any, path: str) -> Any:  # noqa: ANN401  any value there is
        if isinstance(value, dict):
            return {name: self.through(below, f"{path}.{name}") for name, below in value.items()}
        if isinstance(value, list):
            return [self.through(each, path) for each in (value[:-1] if path == self.shortened else value)]
        if self.into_json and _is_json(value):
            below = self.through(json.loads(value), path)
            return json.dumps(below, separators=(",", ":"), ensure_ascii=False)
        return self.change(path, value)


def _is_json(value: object) -> bool:
    return isinstance(value, str) and value.startswith("{")


def _lists(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401  any value there is
    if isinstance(value, list):
        yield path
        for each in value:
            yield from _lists(each, path)
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from _lists(below, f"{path}.{name}")
    elif _is_json(value):
        yield from _lists(json.loads(value), path)


def _other(value: Any) -> Any:  # noqa: ANN401  any value there is
    match value:
        case None:
            return None
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 1.5
        case datetime():
            return value + timedelta(days=32, minutes=1)
        case date():
            return value + timedelta(days=32)
        case str():
            return _other_text(value)
        case _:
            raise TypeError(f"No other value is known for {type(value).__name__}.")


def _other_text(text: str) -> str:
    """Return another text; a day or an instant in writing stays one."""
    try:
        shifted = datetime.fromisoformat(text) + timedelta(days=32, minutes=1)
    except ValueError:
        return f"{text}~"
    if len(text) == len("2026-11-17"):
        return shifted.date().isoformat()
    return shifted.isoformat().replace("+00:00", "Z")
