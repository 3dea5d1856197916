"""Lines of a file or a pipe as they come: what can be read at once is one group, and nobody waits for more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from ingest.pos.payloads import MAX_RECORD_BYTES
from receipts.errors import InvalidInput

_CHUNK = 65_536  # bytes: what a pipe of Linux holds


def line_groups(file: IO[bytes]) -> Iterator[list[str]]:
    """Yield the lines that are not blank, in groups; a line that waits in a pipe is yielded before the next one comes.

    Raises InvalidInput with the line's number when it is not UTF-8 or larger than a record may be, after those before
    it were yielded.
    """
    number, rest = 1, b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from _group(whole, number)
        number += len(whole)
        _check_size(rest, number)
    yield from _group([rest], number)


def _group(lines: list[bytes], first: int) -> Iterator[list[str]]:
    group: list[str] = []
    try:
        for number, line in enumerate(lines, first):
            if line.strip():
                group.append(_text(line, number))
    except InvalidInput:
        if group:
            yield group
        raise
    if group:
        yield group


def _text(line: bytes, number: int) -> str:
    _check_size(line, number)
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidInput("FILE", f"line {number} is not UTF-8, from its byte {error.start + 1} on") from None


def _check_size(line: bytes, number: int) -> None:
    if len(line) > MAX_RECORD_BYTES:
        raise InvalidInput("FILE", f"line {number} is larger than {MAX_RECORD_BYTES} bytes, the most that can be sent")
