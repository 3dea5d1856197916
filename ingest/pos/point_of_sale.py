"""A till's side of the platform: a receipt handed over is on the disk, and reaches the gateway when the line allows.

How a till that was cut off for a day catches up. Its records keep their order, so a new receipt goes behind the ones
that wait. To be prompt again, the till empties its spool in messages of up to 100 records; what waits while a message
is under way travels in the next one, and with nothing waiting a receipt leaves at once, alone. To leave the gateway to
others, at most 4 messages are under way, 400 records: the next one leaves when an ack has come. However much waits on
the disks of tills that come back together, a gateway holds at most 400 records of each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.pos.ledger import Batch, Ledger, Window
from ingest.pos.payloads import BATCH_BYTES, BATCH_RECORDS, as_payload, without_card_numbers
from ingest.pos.sender import Sender
from ingest.pos.session import Line
from ingest.pos.spool import Depth, Spool, SpoolFull
from receipts.errors import ReceiptsError, Unavailable

_log = logging.getLogger(__name__)
_WINDOW = Window(batches=4, size=8 * 2**20)
_SPOOL_BYTES = 2 * 2**30
_CLOSE_S = 5.0  # for the acks of what is under way; then they are left for the next start


@dataclass(frozen=True, slots=True)
class State:
    """How a till stands: what waits on its disk, what was acknowledged since it started, what is wrong (or None)."""

    waiting: Depth
    acked: int
    problem: str | None


class PointOfSale:
    """One till and one table: a spool and a thread that sends from it, for ever or until the gateway says no.

    Then, too, records are still taken, up to the size of the spool, and the next start sends them. `on_ack` is called
    in the sender's thread. Raises SpoolInUse when another process has the spool.
    """

    def __init__(
        self, line: Line, spool: Path, *, spool_bytes: int = _SPOOL_BYTES, on_ack: Callable[[State], None] | None = None
    ) -> None:
        self._line = line
        self._folder = spool
        self._spool = Spool(spool, spool_bytes)
        self.damage = self._spool.damage  # a sentence when the spool was damaged and began anew
        if self.damage:
            _log.error("%s", self.damage)
        self._source = _Waiting(self._spool)
        self._ledger = Ledger(self._source, _WINDOW)
        self._sender = Sender(self._ledger, line, self._note_ack)
        self._on_ack = on_ack
        self._failure: Exception | None = None
        self._final: State | None = None
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="till-sender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def put(self, *records: str) -> None:
        """Hand JSON records over: when this returns they are on the disk, all together, and will arrive.

        A full card number is destroyed before. Raises SpoolFull, Unavailable when the disk fails, and InvalidInput for
        a record that is empty or too large; then none of them was taken.
        """
        self._spool.put([as_payload(without_card_numbers(record), n) for n, record in enumerate(records, 1)])
        self._ledger.wake()

    def put_patiently(self, *records: str, patience_s: float) -> None:
        """Hand records over as `put` does, but wait for room while the gateway goes on acknowledging."""
        while True:
            released = self._source.released
            try:
                return self.put(*records)
            except SpoolFull:
                if not self._is_released(released + 1, patience_s):
                    raise

    def flush(self, patience_s: float) -> None:
        """Wait until all that was put is acknowledged: durable and readable.

        Raises what the gateway refused, or Unavailable when nothing was acknowledged for `patience_s`.
        """
        last = self._spool.last
        while (released := self._source.released) < last:
            if not self._is_released(released + 1, patience_s):
                state = self.state()
                raise Unavailable(
                    f"The gateway at {self._line.target} cannot be reached ({state.problem or 'it does not answer'}); "
                    f"{state.waiting.records} records wait in {self._folder}."
                )

    def state(self) -> State:
        """Return how the till stands, or stood when it was closed."""
        if self._final is not None:
            return self._final
        problem = None if self._ledger.is_open else self._sender.problem
        return State(self._spool.depth(), self._ledger.acked, str(self._failure) if self._failure else problem)

    def close(self) -> None:
        """Stop sending; what is not acknowledged stays on the disk, and the next start sends it first."""
        deadline = time.monotonic() + _CLOSE_S
        while self._thread.is_alive():
            self._sender.stop()
            self._thread.join(0.2)
            if time.monotonic() > deadline:
                self._sender.cut()
        self._final = self.state()
        self._spool.close()

    def _run(self) -> None:
        failure: Exception | None
        try:
            self._sender.run(None)
            failure = self._ledger.failure
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for an ack
            failure = error
        if failure is not None:
            _log.error("The till has stopped sending; its records stay on the disk. %s", failure)
        with self._moved:
            self._failure = failure
            self._moved.notify_all()

    def _note_ack(self) -> None:
        with self._moved:
            self._moved.notify_all()
        if self._on_ack is not None:
            self._on_ack(self.state())

    def _is_released(self, number: int, patience_s: float) -> bool:
        """Wait until a record is acknowledged and say whether it is; raises what made the sender stop."""
        with self._moved:
            self._moved.wait_for(
                lambda: self._source.released >= number or self._failure is not None, timeout=patience_s
            )
            if self._source.released >= number:
                return True
        if self._failure is not None:
            raise self._failure
        return False


class _Waiting:
    """What waits in a spool, as the ledger asks for it. It never ends: there may always be another receipt."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._taken = spool.released  # the number of the last record that was taken
        self.released = spool.released  # ... and of the last one that was acknowledged

    def ready(self) -> bool:
        return self._spool.last > self._taken

    def take(self) -> Batch | None:
        found = self._spool.read(self._taken, BATCH_RECORDS, BATCH_BYTES)
        records = tuple(payload for _, payload in found)
        self._taken = found[-1][0]
        return Batch(records, self._taken, sum(map(len, records)))

    def release(self, last: int) -> None:
        """Let go of records. A disk that fails here loses nothing: they are sent again at the next start."""
        try:
            self._spool.release(last)
        except ReceiptsError as error:
            _log.warning("%s", error)
        self.released = last
