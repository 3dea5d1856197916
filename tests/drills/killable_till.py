"""A till in a process of its own, which may be killed at any moment: it notes what was promised to it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from datetime import date

from tests.drills.rig import Rig
from tests.drills.worker import Worker, until
from tests.fixtures.retail import make_receipt

_RECEIPTS = 10_000  # more than a drill takes
_MOST = 60  # receipts between two kills


class KillableTill:
    """Runs a program that is given the gateway's address, a file of receipts and a file to note in.

    It notes a receipt once the gateway acknowledged it, or once a spool took it, which promises as much.
    """

    def __init__(self, program: Sequence[str], rig: Rig, stores: Sequence[int]) -> None:
        self._rig = rig
        self._random = random.Random(rig.seed)
        self._receipts = [
            make_receipt(
                store_id=self._random.choice(stores),
                sequence_number=number,
                business_date=date(2026, 11, 17),
                customer_id=None,
            )
            for number in range(1, _RECEIPTS + 1)
        ]
        folder = rig.settings.state_dir
        self._noted = folder / "noted"
        feed = folder / "feed.jsonl"
        feed.write_text("".join(f"{receipt.canonical()}\n" for receipt in self._receipts))
        command = [*program, f"127.0.0.1:{rig.settings.ingest.port}", str(feed), str(self._noted)]
        self._worker = Worker(rig.settings, "till", command)

    @property
    def noted(self) -> int:
        """How many receipts it has noted, in the order of their file."""
        return len(self._noted.read_text().splitlines()) if self._noted.is_file() else 0

    def start(self) -> None:
        self._worker.start()

    def kill(self) -> None:
        self._worker.kill()

    def serve(self) -> None:
        """Return at a random moment, after it noted something new."""
        wanted = self.noted + self._random.randint(1, _MOST)
        until(lambda: self.noted >= wanted, "the till gets on", self._check)

    def finish(self) -> None:
        """Take nothing new and return when all that was noted is acknowledged."""
        os.kill(self._worker.pid, signal.SIGTERM)
        assert self._worker.await_end(self._rig.check) == 0, self._worker.last_words()
        noted = [(receipt.receipt_id, receipt.canonical().encode()) for receipt in self._receipts[: self.noted]]
        self._rig.history.note_acked(self._rig.history.note_sent(noted))

    def _check(self) -> None:
        self._rig.check()
        self._worker.check()

    def end(self) -> None:
        self._worker.end()
