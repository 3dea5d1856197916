"""A till with a spool on its disk, in a process of its own, which may be killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from configs.settings import Settings
from tests.drills.rig import Worker, until
from tests.drills.till import History
from tests.fixtures.retail import make_receipt

_RECEIPTS = 10_000  # more than a drill takes
_MOST = 60  # receipts between two kills


class SpoolingTill:
    """Runs till_program.py. What the spool has taken is promised as if the gateway had acknowledged it."""

    def __init__(self, settings: Settings, stores: Sequence[int], history: History, seed: int) -> None:
        self._history = history
        self._random = random.Random(seed)
        self._receipts = [
            make_receipt(
                store_id=self._random.choice(stores),
                sequence_number=number,
                business_date=date(2026, 11, 17),
                customer_id=None,
            )
            for number in range(1, _RECEIPTS + 1)
        ]
        folder = settings.state_dir
        self._noted = folder / "taken"
        feed = folder / "feed.jsonl"
        feed.write_text("".join(f"{receipt.canonical()}\n" for receipt in self._receipts))
        program, target = Path(__file__).with_name("till_program.py"), f"127.0.0.1:{settings.ingest.port}"
        files = [str(path) for path in (feed, folder / "spool", self._noted)]
        self._worker = Worker(settings, "till", [sys.executable, str(program), target, *files])

    @property
    def taken(self) -> int:
        """How many receipts the spool has taken, in the feed's order."""
        return len(self._noted.read_text().splitlines()) if self._noted.is_file() else 0

    def start(self) -> None:
        self._worker.start()

    def kill(self) -> None:
        self._worker.kill()

    def serve(self) -> None:
        """Return at a random moment, after the spool took something new."""
        wanted = self.taken + self._random.randint(1, _MOST)
        until(lambda: self.taken >= wanted, f"the spool takes receipts; it said {self._worker.last_words()}")

    def finish(self) -> None:
        """Take nothing new and return when all that was taken is acknowledged."""
        os.kill(self._worker.pid, signal.SIGTERM)
        assert self._worker.wait_for_its_end() == 0, self._worker.last_words()
        taken = [(receipt.receipt_id, receipt.canonical().encode()) for receipt in self._receipts[: self.taken]]
        self._history.note_acked(self._history.note_sent(taken))

    def end(self) -> None:
        self._worker.end()
