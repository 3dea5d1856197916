"""One keep-alive HTTP/1.1 connection that tells exactly how a question ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from loadtest.drill.answers import End

_HEAD_END = b"\r\n\r\n"
_CONNECT_S = 3.0  # on one machine or in one data centre a connection that takes longer is none


class Reply(NamedTuple):
    """How a question ended, and what came if it was answered; header names are in lower case."""

    end: End
    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Link:
    """Asks one question at a time, on a connection that is kept as long as the server keeps it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, within_s: float) -> Reply:
        """Send a request and return how it ended; never raises for what a server or a network does."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server has ended it meanwhile, as it may
        is_kept = self._streams is not None
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = self._streams or await asyncio.open_connection(*self._address)
        except OSError:  # a timeout is one
            return Reply(End.REFUSED)
        self._streams = reader, writer
        try:
            async with asyncio.timeout(within_s):
                writer.write(request)
                reply = await _read(reader)
        except TimeoutError:
            reply = Reply(End.LATE)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            is_silent = isinstance(error, OSError) or getattr(error, "partial", None) == b""
            reply = Reply(End.HUNG_UP if is_kept and is_silent else End.CUT)
        if reply.end is not End.ANSWERED or reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None


async def _read(reader: asyncio.StreamReader) -> Reply:
    """Read an answer with a content-length, which is all that the platform and its proxies send.

    Raises EOFError when it ends half-way and ValueError when it is none.
    """
    lines = (await reader.readuntil(_HEAD_END)).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    try:
        body = await reader.readexactly(int(headers.get("content-length", "")))
    except asyncio.IncompleteReadError as ended:
        raise EOFError from ended
    return Reply(End.ANSWERED, int(lines[0].split()[1]), headers, body)
