"""What a table makes of the sample, and which of its fields change when one field of its input does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from data_jobs.declaration import ROW, SIGN, Kind, Table, polars_schema
from data_jobs.expectations import judge
from data_jobs.lineage.leaves import (
    change_leaves,
    collect_leaves,
    field_paths,
    list_paths,
    mixed_values,
    new_values,
    put_leaves,
    shorten_lists,
)

Frames = Mapping[str, pl.DataFrame]


class Effect(StrEnum):
    """How a field depends on another, as OpenLineage names it."""

    DIRECT = "DIRECT"  # its value changes while the rows stay the same
    INDIRECT = "INDIRECT"  # only which rows there are changes, or what is summed up under which key


@dataclass(frozen=True, slots=True)
class _Result:
    """The fields of a table by key: each key's values under each path, in an order that does not depend on rows."""

    values: Mapping[str, Mapping[object, list[str]]]
    keys: Counter[object]


def make_rows(table: Table, read: Frames) -> pl.DataFrame | None:
    """Return what a table makes of its sample input, before expectations; none for one that other code fills."""
    if table.kind is Kind.FILLED:
        return None
    rows = read[table.source.name]
    if table.columns:
        rows = rows.select(table.columns)
    if table.transform is not None:
        return table.transform(rows.with_row_index(ROW), read)
    assert table.fold is not None, f"{table.name} makes no rows"
    fold, schema = table.fold, polars_schema(table.schema)
    signed = rows.with_columns(pl.lit(1).alias(SIGN)) if fold.invertible else rows
    states = fold.summarise(signed, read).drop_nulls(list(table.key))
    return fold.finish(fold.combine(states.select(pl.col(name).cast(schema[name]) for name in states.columns)), read)


def settle(table: Table, made: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that a table holds of those it makes: accepted ones, of each key the last."""
    accepted, _, _ = judge(made, table.expectations)
    if table.sequence:
        accepted = accepted.sort(*table.sequence).unique(list(table.key), keep="last", maintain_order=True)
    return accepted.select(pl.col(name).cast(kind) for name, kind in polars_schema(table.schema).items())


def find_effects(table: Table, read: Frames) -> Iterator[tuple[str, str, str, Effect]]:
    """Yield which field depends on which field of which table read, and how."""
    for source in (table.source, *table.lookups):
        columns = table.columns if source is table.source else ()
        frame = read[source.name].select(columns or pl.all())
        trials = _Trials(table, source.name, read, frame)
        for path, effects in trials.find().items():
            for field, effect in effects.items():
                yield field, source.name, path, effect


@dataclass(frozen=True, slots=True)
class _Trials:
    """Trials of a table with one of the tables it reads changed."""

    table: Table
    source: str
    read: Frames
    frame: pl.DataFrame

    def find(self) -> dict[str, dict[str, Effect]]:
        """Return by input field which fields depend on it."""
        rows = change_leaves(self.frame.to_dicts(), lambda _, value: value)  # JSON is written as trials write it
        base = self._made(rows)
        assert base is not None, f"{self.table.name} cannot be made of the sample"
        found: dict[str, dict[str, Effect]] = {}
        for path, values in collect_leaves(rows).items():
            new = self._made(put_leaves(rows, path, new_values(values)))
            # Lookups are whole: what their table expects of them says so.
            mixing = mixed_values(values, missing=self.source == self.table.source.name)
            mixed = [self._made(put_leaves(rows, path, others)) for others in mixing]
            found[path] = _effects(base, new, [trial for trial in mixed if trial is not None])
        for path in list_paths(rows):
            below = {name for at, effects in found.items() if at.startswith(path) for name in effects}
            shorter = self._made(shorten_lists(rows, path))
            if shorter is not None and shorter.keys == base.keys:  # fields that only count the list
                counted = set(_changed_by_key(base, shorter)) - below
                found[path] = found.get(path, {}) | dict.fromkeys(sorted(counted), Effect.DIRECT)
        return found

    def _made(self, rows: list[dict[str, Any]]) -> _Result | None:
        """Make the table and take it apart; none where the changed sample is nothing it can read."""
        try:
            made = make_rows(self.table, {**self.read, self.source: pl.DataFrame(rows, schema=self.frame.schema)})
        except Exception:  # noqa: BLE001  no real row is like this, and a transform may break on it in any way
            return None
        assert made is not None, f"{self.table.name} is filled by other code"
        return _taken_apart(self.table, made)


def _effects(base: _Result, new: _Result | None, mixed: list[_Result]) -> dict[str, Effect]:
    """Say which fields changed, by new values of an input field and by values mixed up.

    New values leave together what belongs together: as long as there are as many rows, what changed did so by value.
    Where they changed the key, mixing has torn whole rows apart, which tells nothing of other fields' values.
    """
    found: dict[str, Effect] = {}
    rekeyed = new is not None and new.keys != base.keys
    for trial in mixed:
        by_value = trial.keys == base.keys and not rekeyed
        effect = Effect.DIRECT if by_value else Effect.INDIRECT
        for field in (_changed_by_key if by_value else _changed)(base, trial):
            found[field] = min(effect, found.get(field, effect))  # DIRECT sorts first
    if new is not None:
        effect = Effect.DIRECT if new.keys.total() == base.keys.total() else Effect.INDIRECT
        for field in _changed(base, new):
            found[field] = min(effect, found.get(field, effect))
    return found


def _fields(table: Table) -> list[str]:
    """Return the paths of the table and the columns that only its expectations look at."""
    helpers = {name for each in table.expectations for name in each.holds.meta.root_names()}
    return [*field_paths(table.schema), *sorted(helpers - set(table.schema.names))]


def _taken_apart(table: Table, made: pl.DataFrame) -> _Result:
    fields = _fields(table)
    columns = {*table.key, *(field.split(".")[0] for field in fields)}
    keys: Counter[object] = Counter()
    values: dict[str, dict[object, list[str]]] = {field: {} for field in fields}
    for row in made.select(name for name in made.columns if name in columns).to_dicts():
        key = tuple(repr(row[name]) for name in table.key)
        keys[key] += 1
        leaves = collect_leaves([row], into_json=False)
        for field in fields:
            values[field].setdefault(key, []).append(repr(leaves.get(field)))
    return _Result(values, keys)


def _changed_by_key(base: _Result, trial: _Result) -> list[str]:
    return [
        field
        for field, before in base.values.items()
        if any(sorted(before[key]) != sorted(trial.values[field][key]) for key in before)
    ]


def _changed(base: _Result, trial: _Result) -> list[str]:
    return [field for field, before in base.values.items() if _all_values(before) != _all_values(trial.values[field])]


def _all_values(by_key: Mapping[object, list[str]]) -> Counter[str]:
    return Counter(value for values in by_key.values() for value in values)
