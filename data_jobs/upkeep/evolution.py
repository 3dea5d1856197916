"""Tables that exist and declarations that moved on: columns are added by themselves, anything else is refused."""

from __future__ import annotations

import logging

from deltalake import DeltaTable, Field, Schema

from receipts.errors import ReceiptsError
from receipts.lake import Lake, LakeTable

_LOG = logging.getLogger(__name__)


class SchemaRefused(ReceiptsError):
    """A table in the lake and its declaration contradict each other; nothing was changed."""


def open_evolved(lake: Lake, table: LakeTable) -> DeltaTable:
    """Open a table as it is declared, creating it or adding the columns it lacks; old rows hold null there.

    Raises SchemaRefused where a column is no longer declared, is of another type, or may not hold null.
    """
    handle = lake.ensure(table)
    held = {field.name: field for field in handle.schema().fields}
    declared = {field.name: field for field in Schema.from_arrow(table.schema).fields}
    lost = [name for name in held if name not in declared]
    if lost:
        raise SchemaRefused(
            f"{table.name} holds the column {lost[0]}, which is no longer declared. Declare it again (a table keeps "
            f"its columns), or rebuild the table: {_rebuild(lake, table)}"
        )
    for name, field in held.items():
        if field.type != declared[name].type:
            raise SchemaRefused(
                f"{table.name} holds {name} as {_type(field)}, and it is declared as {_type(declared[name])}. "
                f"Give the new type a column of a new name, or rebuild the table: {_rebuild(lake, table)}"
            )
    added = [field for name, field in declared.items() if name not in held]
    if not added:
        return handle
    for field in added:
        if not field.nullable:
            raise SchemaRefused(
                f"{table.name} lacks the column {field.name}, which is declared as never null, and its rows have "
                f"nothing to put there. Declare it nullable, or rebuild the table: {_rebuild(lake, table)}"
            )
    handle.alter.add_columns(added)
    _LOG.info("%s got the columns %s; they are null in its old rows", table.name, [field.name for field in added])
    return lake.open(table.name)


def _rebuild(lake: Lake, table: LakeTable) -> str:
    return f"stop the pipeline, move {lake.uri(table.name)} away and start it; it is refined anew from its input."


def _type(field: Field) -> str:
    """Return a type as the Delta log writes it."""
    return field.type.to_json().strip('"')
