"""A closed-loop HTTP/1.1 driver over raw sockets: cheap enough not to measure itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

_HEADER_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_TOLD = 200  # bytes of a failure's body


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round saw: answers with status 200, other answers, and the latency of each in milliseconds, sorted.

    `failures` counts the other answers by their status and the beginning of what they say.
    """

    answered: int
    failed: int
    seconds: float
    latencies_ms: Sequence[float]
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Return the rate of good answers."""
        return self.answered / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency that `share` (0..1) of the answers did not exceed."""
        return self.latencies_ms[min(int(len(self.latencies_ms) * share), len(self.latencies_ms) - 1)]


def get_request(host: str, path: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of a keep-alive GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def post_request(host: str, path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of a keep-alive POST of JSON."""
    sent = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]
    return get_request(host, path, sent).replace(b"GET ", b"POST ", 1) + body


async def drive(
    addresses: Sequence[tuple[str, int]],
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    rate: float | None = None,
) -> Outcome:
    """Send the requests round-robin over keep-alive connections, spread over the addresses, for a time.

    Without `rate` each connection sends its next request when it has its answer (saturation). With `rate`
    (requests/s in all) requests are due on a fixed schedule and latency counts from when each was due, so a
    stall is charged to every request it delayed (no coordinated omission; Tene, "How NOT to Measure Latency"). All
    that was due is sent, however late. A connection that the server closed between two answers is opened again and the
    request sent once more, as every HTTP client does with an idempotent request (RFC 9110, 9.2.2).
    """
    start = time.perf_counter()
    tickets = itertools.count()
    latencies: list[float] = []
    failures = Counter[str]()

    async def one_connection(address: tuple[str, int]) -> None:
        link = await _Link.open(address)
        try:
            while True:
                now, ticket = time.perf_counter(), next(tickets)
                due = now if rate is None else start + ticket / rate
                if due - start >= seconds:
                    break
                if due > now:
                    await asyncio.sleep(due - now)
                link, failure = await _ask_again(link, address, requests[ticket % len(requests)])
                latencies.append((time.perf_counter() - due) * 1_000)
                failures.update([failure] if failure else ())
        finally:
            link.close()

    await asyncio.gather(*(one_connection(addresses[n % len(addresses)]) for n in range(connections)))
    elapsed = time.perf_counter() - start
    return Outcome(len(latencies) - failures.total(), failures.total(), elapsed, sorted(latencies), failures)


def run(
    addresses: Sequence[tuple[str, int]],
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    rate: float | None = None,
) -> Outcome:
    """Do so from here, connections spread over addresses, in the loop that takes least of the processor."""
    return uvloop.run(drive(addresses, requests, connections, seconds, rate))


async def _ask_again(link: _Link, address: tuple[str, int], request: bytes) -> tuple[_Link, str]:
    try:
        return link, await link.ask(request)
    except ConnectionError:
        link.close()
        link = await _Link.open(address)
        return link, await link.ask(request)


class _Link(asyncio.Protocol):
    """One keep-alive connection that asks one thing at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[str] | None = None
        self._buffer = bytearray()

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Link:
        _, link = await asyncio.get_running_loop().create_connection(cls, *address)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what requests are written to."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Gather an answer; when it is whole, say how it failed, or nothing where its status is 200."""
        self._buffer += data
        end = self._buffer.find(_HEADER_END)
        if end < 0 or self._answer is None:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(_LENGTH)
        if at < 0:
            self._fail(RuntimeError(f"the answer has no content-length: {head[:80]!r}"))
            return
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + len(_HEADER_END) + length:
            status = head[9:12]
            told = status + b" " + self._buffer[end + len(_HEADER_END) :][:_TOLD] if status != b"200" else b""
            self._buffer.clear()
            answer, self._answer = self._answer, None
            answer.set_result(told.decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what was asked."""
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self, request: bytes) -> str:
        """Send a request and read one answer with a content-length; say how it failed, or nothing at status 200."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
