"""Sends records that need no spool, because their source can be read again: returns when all are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ingest.pos.ledger import Batch, Ledger, Window
from ingest.pos.payloads import BATCH_BYTES, BATCH_RECORDS, as_payload
from ingest.pos.sender import Sender
from ingest.pos.session import PLAIN, Access, Line
from ingest.pos.tokens import StreamRefused

__all__ = ["PLAIN", "Access", "Sent", "StreamRefused", "send"]

_WINDOW = Window(batches=20, size=32 * 2**20)  # enough to keep the gateway busy, little to send again
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """How many records were taken from the source, and how many of them the gateway has acknowledged."""

    sent: int
    acked: int


def send(
    records: Iterable[str],
    *,
    table: str,
    target: str,
    on_progress: Callable[[Sent], None] | None = None,
    patience_s: float = _PATIENCE_S,
    access: Access = PLAIN,
) -> Sent:
    """Send JSON records to a table in order; return when all are acknowledged: durable and readable.

    A lost connection is opened again and what was not acknowledged is sent again. `target` is host:port and
    `on_progress` is called after each ack. Raises Unavailable when nothing was acknowledged for `patience_s` and no
    stream could be kept open, StreamRefused when the gateway says no, and InvalidInput for a record that is empty or
    too large, after those before it are acknowledged.
    """
    ledger = Ledger(_Batches(records), _WINDOW)

    def on_ack() -> None:
        if on_progress is not None:
            on_progress(Sent(ledger.taken, ledger.acked))

    Sender(ledger, Line(target, table, access), on_ack).run(patience_s)
    if ledger.failure is not None:
        raise ledger.failure
    return Sent(ledger.taken, ledger.acked)


class _Batches:
    """Records of an iterable as batches, taken when there is room for them and never before."""

    def __init__(self, records: Iterable[str]) -> None:
        self._batches = _batches(records)

    def ready(self) -> bool:
        return True

    def take(self) -> Batch | None:
        return next(self._batches, None)

    def release(self, last: int) -> None:
        """Keep nothing, so forget nothing."""


def _batches(records: Iterable[str]) -> Iterator[Batch]:
    """Group records; what came before a bad record or a failing source is yielded before the error is raised."""
    payloads: list[bytes] = []
    size, number = 0, 0
    try:
        for number, text in enumerate(records, 1):
            payload = as_payload(text, number)
            if payloads and (len(payloads) >= BATCH_RECORDS or size + len(payload) > BATCH_BYTES):
                yield Batch(tuple(payloads), number - 1, size)
                payloads, size = [], 0
            payloads.append(payload)
            size += len(payload)
    except Exception:
        if payloads:
            yield Batch(tuple(payloads), number - 1, size)
        raise
    if payloads:
        yield Batch(tuple(payloads), number, size)
