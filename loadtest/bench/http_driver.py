"""A closed-loop HTTP/1.1 driver over raw sockets: cheap enough not to measure itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round saw: answers with status 200, other answers, and the latency of each in milliseconds, sorted."""

    answered: int
    failed: int
    seconds: float
    latencies_ms: Sequence[float]

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


async def drive(
    address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float, rate: float | None = None
) -> Outcome:
    """Send the requests round-robin over keep-alive connections for a time.

    Without `rate` each connection sends its next request when it has its answer (saturation). With `rate`
    (requests/s in all) requests are due on a fixed schedule and latency counts from when each was due, so a
    stall is charged to every request it delayed (no coordinated omission; Tene, "How NOT to Measure Latency").
    A connection that the server closed between two answers is opened again and the request sent once more, as
    every HTTP client does with an idempotent request (RFC 9110, 9.2.2).
    """
    start = time.perf_counter()
    tickets = itertools.count()
    latencies: list[float] = []
    failed = 0

    async def one_connection() -> None:
        nonlocal failed
        link = await _Link.open(address)
        try:
            while (now := time.perf_counter()) - start < seconds:
                ticket = next(tickets)
                due = now if rate is None else start + ticket / rate
                if due > now:
                    await asyncio.sleep(due - now)
                request = requests[ticket % len(requests)]
                try:
                    good = await link.ask(request)
                except (asyncio.IncompleteReadError, ConnectionError):
                    link.close()
                    link = await _Link.open(address)
                    good = await link.ask(request)
                latencies.append((time.perf_counter() - due) * 1_000)
                failed += not good
        finally:
            link.close()

    await asyncio.gather(*(one_connection() for _ in range(connections)))
    elapsed = time.perf_counter() - start
    return Outcome(len(latencies) - failed, failed, elapsed, sorted(latencies))


@dataclass(frozen=True, slots=True)
class _Link:
    """One keep-alive connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Link:
        return cls(*await asyncio.open_connection(*address))

    async def ask(self, request: bytes) -> bool:
        """Send a request, read one answer with a content-length and say whether its status is 200."""
        self.writer.write(request)
        head = await self.reader.readuntil(_HEADER_END)
        lower = head.lower()
        at = lower.find(_LENGTH)
        if at < 0:
            raise RuntimeError(f"the answer has no content-length: {head[:80]!r}")
        length = int(lower[at + len(_LENGTH) : lower.index(b"\r\n", at)])
        await self.reader.readexactly(length)
        return head[9:12] == b"200"

    def close(self) -> None:
        self.writer.close()
