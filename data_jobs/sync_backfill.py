"""A whole version of a table brought to Postgres: piece by piece, each in a short transaction that notes how far it is.

Readers are never locked out: no index is dropped and no row is locked for longer than a piece takes. A back-fill that
was killed goes on with the next piece of the same version; the change feed takes over from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileType

from data_jobs.changes import list_files
from data_jobs.declaration import Table
from data_jobs.sync_marks import (
    Backfill,
    begin_backfill,
    end_backfill,
    find_backfill,
    move_watermark,
    note_progress,
)
from data_jobs.sync_rendering import Rendered
from data_jobs.sync_snapshot import START, Piece, read_pieces
from data_jobs.sync_verification import find_surplus
from data_jobs.sync_writing import (
    Connection,
    Written,
    delete,
    holds_rows,
    list_types,
    needed_columns,
    prepare_writing,
    render,
    write,
    write_rendered,
)
from receipts.lake import Lake


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction of a back-fill did. `finished`: it moved the watermark to `version`."""

    version: int
    written: Written
    finished: bool


def back_fill(lake: Lake, connection: Connection, table: Table, after: int, piece_bytes: int) -> Iterator[Step]:
    """Bring a version to Postgres, the one that was begun or the newest, yielding after every transaction."""
    backfill, types = _find_or_begin(lake, connection, table, after)
    version, done, finished, known = backfill.version, backfill.done, False, False
    for piece, rendered in _ahead(lake, table, backfill, piece_bytes, types):
        finished = piece.last and backfill.began_empty
        with connection.transaction():
            prepare_writing(connection, lasting=finished)
            note_progress(connection, table, version, done, piece.upto)
            # Where a gateway was first with most of the last piece, it will have been with this one.
            written = write(connection, table, piece.rows) if known else write_rendered(connection, table, rendered)
            if finished:
                _finish(connection, lake, table, after, version)
        done, known = piece.upto, written.confirmed > written.written
        yield Step(version, written, finished)
    if not finished:
        surplus = find_surplus(lake, connection, table, version)
        with connection.transaction():
            note_progress(connection, table, version, done, done)
            written = delete(connection, table, surplus)
            _finish(connection, lake, table, after, version)
        yield Step(version, written, finished=True)


def _find_or_begin(lake: Lake, connection: Connection, table: Table, after: int) -> tuple[Backfill, Mapping[str, str]]:
    """Return what is to be done, and the types in which the server takes it."""
    with connection.transaction():
        types = list_types(connection, table)
        found = find_backfill(connection, table)
        if found is not None and found.version > after and _is_readable(lake, table, found):
            return found, types
        began_empty = found is None and not holds_rows(connection, table)
        backfill = Backfill(lake.open(table.name).version(), began_empty)
        begin_backfill(connection, table, backfill)
    return backfill, types


def _is_readable(lake: Lake, table: Table, backfill: Backfill) -> bool:
    """Say whether the log and the files of a back-fill's version are still there."""
    try:
        paths = list_files(lake.open(table.name, backfill.version))["path"].to_list()
    except DeltaError:
        return False
    store = DeltaStorageHandler(lake.uri(table.name), dict(lake.storage_options))
    begun = backfill.done == START or backfill.done.path in paths
    return begun and all(info.type is FileType.File for info in store.get_file_info(paths))


def _finish(connection: Connection, lake: Lake, table: Table, after: int, version: int) -> None:
    move_watermark(connection, lake, table, after, version)
    end_backfill(connection, table)


def _ahead(
    lake: Lake, table: Table, backfill: Backfill, piece_bytes: int, types: Mapping[str, str]
) -> Iterator[tuple[Piece, Rendered]]:
    """Read and render the next piece while Postgres writes this one."""
    columns = needed_columns(table)
    pieces = read_pieces(lake, table, backfill.version, columns, backfill.done, piece_bytes)

    def following() -> tuple[Piece, Rendered] | None:
        piece = next(pieces, None)
        return None if piece is None else (piece, render(table, piece.rows, types))

    with ThreadPoolExecutor(1, "sync-reader") as reader:
        coming = reader.submit(following)
        while (current := coming.result()) is not None:
            coming = reader.submit(following)
            yield current
