"""The rows of a CSV or Parquet file, a few at a time."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from ingest.adapters.found import BrokenFile
from ingest.adapters.mapping import ColumnMapping, Row, check_columns

_SNIFFED_BYTES = 1024 * 1024
_DELIMITERS = ",;\t|"
_BATCH_ROWS = 4_096
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class Located:
    """A row, its line (CSV) or number (Parquet) from 1, and how much of the file was read by then."""

    row: Row
    position: int
    done_bytes: int
    problem: str = ""  # why its cells cannot be told apart


def csv_rows(path: Path, mapping: ColumnMapping) -> Iterator[Located]:
    """Yield the rows under the header of a CSV file (RFC 4180). Memory holds one row.

    Without a given encoding it is that of the byte order mark, else UTF-8 if the first MiB is, else windows-1252; a
    delimiter that is not given is the one the header has most of. Raises BrokenFile, and InvalidInput when a column of
    the mapping is not there.
    """
    with path.open("rb") as file:
        start = file.read(_SNIFFED_BYTES)
        file.seek(0)
        encoding = mapping.csv.encoding or _encoding(start)
        header = start.decode(encoding, errors="replace").partition("\n")[0]
        delimiter = mapping.csv.delimiter or max(_DELIMITERS, key=header.count)
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            columns = [name.strip() for name in next(rows, [])]
            check_columns(mapping, columns)
            line = rows.line_num + 1
            for cells in rows:
                problem = "" if len(cells) == len(columns) else f"has {len(cells)} columns, the header {len(columns)}"
                if cells:
                    yield Located(dict(zip(columns, cells, strict=False)), line, file.tell(), problem)
                line = rows.line_num + 1
        except UnicodeDecodeError:
            raise BrokenFile(
                f"Line {rows.line_num + 1}: is not {encoding} text; name the encoding in the mapping (csv.encoding)."
            ) from None
        except csv.Error as error:
            raise BrokenFile(f"Line {rows.line_num}: is no CSV: {error}.") from None


def parquet_rows(path: Path, mapping: ColumnMapping) -> Iterator[Located]:
    """Yield the rows of a Parquet file; memory holds a part of a row group of the columns in use.

    Raises BrokenFile, and InvalidInput when a column of the mapping is not there.
    """
    size = path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            columns = check_columns(mapping, list(file.schema_arrow.names))
            total = max(file.metadata.num_rows, 1)
            position = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    position += 1
                    yield Located(row, position, size * position // total)
    except (pa.ArrowException, OSError) as error:
        raise BrokenFile(f"The Parquet file cannot be read: {str(error).partition(chr(10))[0]}.") from None


def _encoding(start: bytes) -> str:
    for mark, name in _BOMS.items():
        if start.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"
