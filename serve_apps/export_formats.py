"""Rows as the bytes of a file, piece by piece: nothing of what was written is kept."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override  # typing has it from 3.12 on

from serve_apps import csv_rows
from serve_apps.export_rows import COLUMNS, Kind

Rows = Sequence[tuple[Any, ...]]

_GROUP_ROWS = 50_000  # of a row group: some 20 MB in memory, and large enough for whoever reads columns

_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.DAY: pa.date32(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}


class FileFormat(Protocol):
    """Makes one file."""

    media_type: str

    async def add(self, rows: Rows) -> bytes:
        """Return the bytes that the file goes on with, if any."""
        ...

    async def end(self) -> bytes:
        """Return the bytes that the file ends with."""
        ...


class CsvFile(FileFormat):
    """CSV with a line of names; text that would be a formula is made harmless."""

    media_type = csv_rows.MEDIA_TYPE

    def __init__(self) -> None:
        self._head = csv_rows.written([list(COLUMNS)])

    @override
    async def add(self, rows: Rows) -> bytes:
        head, self._head = self._head, b""
        return head + csv_rows.written(rows)

    @override
    async def end(self) -> bytes:
        return self._head


class ParquetFile(FileFormat):
    """Parquet in row groups. What `told` says of the file stands in its metadata."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, told: Mapping[str, str]) -> None:
        fields = [(name, _TYPES[kind]) for name, kind in COLUMNS.items()]
        self._schema = pa.schema(fields, metadata=dict(told))
        self._out = io.BytesIO()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._out, mode="w"), self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []  # of the next row group, as columns: a tenth of what the rows take

    @override
    async def add(self, rows: Rows) -> bytes:
        columns = zip(zip(*rows, strict=True), self._schema, strict=True)
        arrays = [pa.array(values, field.type) for values, field in columns]
        self._waiting.append(pa.table(arrays, schema=self._schema))
        if sum(len(table) for table in self._waiting) < _GROUP_ROWS:
            return b""
        return await asyncio.to_thread(self._write)

    @override
    async def end(self) -> bytes:
        return await asyncio.to_thread(self._finish)

    def _write(self) -> bytes:
        group, self._waiting = pa.concat_tables(self._waiting), []
        self._writer.write_table(group, row_group_size=len(group))
        return self._taken()

    def _finish(self) -> bytes:
        last = self._write() if self._waiting else b""
        self._writer.close()
        return last + self._taken()

    def _taken(self) -> bytes:
        """Take what was written out of the buffer; the writer counts positions itself."""
        written = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return written
