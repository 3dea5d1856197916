"""A version of a Delta table, read in pieces of bounded size and from any piece on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from data_jobs.changes import PARTITION, list_files
from data_jobs.declaration import Table, polars_schema
from receipts.lake import Lake

_MOST_ROWS = 50_000
PIECE_BYTES = 32 * 1024 * 1024  # of columns as they are in memory: a second's work for Postgres
_BUFFER_BYTES = 8 * 1024 * 1024  # of each column: the documents of a large file would else be read as one


@dataclass(frozen=True, slots=True)
class Position:
    """So many rows of a file; the files before it are read."""

    path: str = ""
    rows: int = 0


START = Position()


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one file, where they end, and whether nothing comes after them."""

    rows: pl.DataFrame
    upto: Position
    last: bool


def read_pieces(
    lake: Lake,
    table: Table,
    version: int,
    columns: Sequence[str],
    after: Position = Position(),
    piece_bytes: int = PIECE_BYTES,
) -> Iterator[Piece]:
    """Yield the rows of a version after a position, in the order in which its files were written.

    The order is the same each time. Raises FileNotFoundError when a file of the version has been vacuumed.
    """
    store = PyFileSystem(DeltaStorageHandler(lake.uri(table.name), dict(lake.storage_options)))
    files = list_files(lake.open(table.name, version)).sort("modification_time", "path").to_dicts()
    paths = [unquote(file["path"]) for file in files]
    begun = paths.index(after.path) if after.path else 0
    for path, file in zip(paths[begun:], files[begun:], strict=True):
        parted = [pl.lit(v).alias(k.removeprefix(PARTITION)) for k, v in file.items() if k.startswith(PARTITION)]
        with store.open_input_file(path) as source:
            parquet = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES)
            for rows, upto, total in _read_batches(parquet, columns, piece_bytes):
                skipped = after.rows if path == after.path else 0
                if upto > skipped:
                    fresh = pl.concat([empty_of(table, columns), rows.with_columns(parted)], how="diagonal_relaxed")
                    last = path == paths[-1] and upto == total
                    yield Piece(fresh.tail(upto - skipped), Position(path, upto), last)


def _read_batches(
    file: pq.ParquetFile, columns: Sequence[str], piece_bytes: int
) -> Iterator[tuple[pl.DataFrame, int, int]]:
    """Yield rows of a file, which of its rows they end with, and how many it has."""
    upto, total = 0, file.metadata.num_rows
    # A file from before a column was added has it not, nor one in a folder of its partition.
    names = [name for name in columns if name in file.schema_arrow.names]
    # Not in threads: whoever reads has a core, and the other ones have work.
    for batch in file.iter_batches(_piece_rows(file, names, piece_bytes), columns=names, use_threads=False):
        upto += batch.num_rows
        rows = pl.from_arrow(pa.Table.from_batches([batch]))
        assert isinstance(rows, pl.DataFrame)
        yield rows, upto, total


def empty_of(table: Table, columns: Sequence[str]) -> pl.DataFrame:
    """Return no rows of some of a table's columns."""
    schema = polars_schema(table.schema)
    return pl.DataFrame(schema={name: schema[name] for name in columns})


def _piece_rows(file: pq.ParquetFile, columns: Sequence[str], piece_bytes: int) -> int:
    """Return how many rows of a file come to so many bytes."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    size = sum(
        group.column(number).total_uncompressed_size
        for group in groups
        for number in range(group.num_columns)
        if group.column(number).path_in_schema.split(".")[0] in columns
    )
    each = max(size // max(file.metadata.num_rows, 1), 1)
    return max(1, min(piece_bytes // each, _MOST_ROWS))
