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
    """
    start = time.perf_counter()
    tickets = itertools.count()
    latencies: list[float] = []
    failed = 0

    async def one_connection() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(*address)
        try:
            while (now := time.perf_counter()) - start < seconds:
                ticket = next(tickets)
                due = now if rate is None else start + ticket / rate
                if due > now:
                    await asyncio.sleep(due - now)
                writer.write(requests[ticket % len(requests)])
                good = await _read_answer(reader)
                latencies.append((time.perf_counter() - due) * 1_000)
                failed += not good
        finally:
            writer.close()

    await asyncio.gather(*(one_connection() for _ in range(connections)))
    elapsed = time.perf_counter() - start
    return Outcome(len(latencies) - failed, failed, elapsed, sorted(latencies))


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Read one answer with a content-length and say whether its status is 200."""
    head = await reader.readuntil(_HEADER_END)
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        raise RuntimeError(f"the answer has no content-length: {head[:80]!r}")
    length = int(lower[at + len(_LENGTH) : lower.index(b"\r\n", at)])
    await reader.readexactly(length)
    return head[9:12] == b"200"
