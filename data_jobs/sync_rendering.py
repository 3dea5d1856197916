"""Rows of the lake in COPY's binary format, made by columns: no object per value, nothing for Postgres to parse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

# https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format": no flags and no extension.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = -1  # as the length of a value
_EPOCH_DAYS = 10_957  # from 1970 to 2000, where Postgres counts from
_EPOCH_US = _EPOCH_DAYS * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rows in COPY's binary format, in parts that follow each other: what the server needs no more work of ours for."""

    parts: tuple[bytes | memoryview, ...]
    rows: int


def render_rows(rows: pl.DataFrame, types: Mapping[str, str]) -> Rendered:
    """Render columns as values of the Postgres types that are named for them.

    The types must be the server's own: it converts nothing. A value that its type cannot hold raises polars' error.
    """
    fields = chain.from_iterable(_field(_ENCODINGS[types[column.name]](column)) for column in rows)
    count = _fixed(np.full(rows.height, rows.width, ">i2"))
    between = pa.scalar(b"", pa.large_binary())
    joined = pc.call_function("binary_join_element_wise", [count, *fields, between])
    # The joined rows lie one behind the other in memory, which is all that COPY asks for.
    contents = joined.buffers()[2] if rows.height else None
    return Rendered((_HEADER, *([] if contents is None else [memoryview(contents)]), _TRAILER), rows.height)


def _field(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the length of each value, and the value."""
    lengths = pc.call_function("binary_length", [values]).fill_null(_NULL).to_numpy()
    return _fixed(lengths.astype(">i4")), values.fill_null(b"") if values.null_count else values


def _fixed(numbers: npt.NDArray[np.generic], missing: pl.Series | None = None) -> pa.Array:
    """Return the bytes of each number, and null where it is missing."""
    valid = None if missing is None else pa.array((~missing).to_numpy()).buffers()[1]
    width, contents = numbers.dtype.itemsize, pa.py_buffer(np.ascontiguousarray(numbers))
    return pa.Array.from_buffers(pa.binary(width), len(numbers), [valid, contents]).cast(pa.large_binary())


def _numbers(kind: pl.DataType, stored: str, since: int = 0) -> Callable[[pl.Series], pa.Array]:
    def encode(column: pl.Series) -> pa.Array:
        # A strict cast: a number that is too large stops here.
        numbers = column.cast(kind).to_physical()
        missing = numbers.is_null() if numbers.null_count() else None
        return _fixed((numbers.fill_null(since).to_numpy() - since).astype(stored), missing)

    return encode


def _bytes(column: pl.Series) -> pa.Array:
    return column.cast(pl.Binary).to_arrow().cast(pa.large_binary())


_ENCODINGS: Mapping[str, Callable[[pl.Series], pa.Array]] = {
    "int2": _numbers(pl.Int16(), ">i2"),
    "int4": _numbers(pl.Int32(), ">i4"),
    "int8": _numbers(pl.Int64(), ">i8"),
    "date": _numbers(pl.Date(), ">i4", _EPOCH_DAYS),
    "timestamptz": _numbers(pl.Datetime("us", "UTC"), ">i8", _EPOCH_US),
    "text": _bytes,
    "bytea": _bytes,
}
