"""Keeps a stream to the gateway for as long as there is something to send: the one retry loop of a till."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ingest.backoff import delays
from ingest.pos.ledger import Ledger
from ingest.pos.session import Line, Session
from ingest.pos.tokens import StreamRefused
from receipts.errors import Unavailable

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0  # 400 tills that lost their gateway ask for it about 160 times a second, and find it in seconds


class Sender:
    """Opens streams one after the other until the ledger is complete or it is stopped."""

    def __init__(self, ledger: Ledger, line: Line, on_ack: Callable[[], None]) -> None:
        self._ledger = ledger
        self._line = line
        self._session = Session(ledger, line, on_ack)
        self._stopping = threading.Event()
        self._minted_again = False
        self.problem: str | None = None  # what broke the last stream; None while all is well

    def run(self, patience_s: float | None) -> None:
        """Send until everything is acknowledged, or until stopped.

        Raises Unavailable when nothing was acknowledged for `patience_s` and no stream could be kept open (None:
        never), and StreamRefused when the gateway says no.
        """
        waits, progress_at = delays(_FIRST_WAIT_S, _LONGEST_WAIT_S), time.monotonic()
        while not (self._ledger.complete or self._stopping.is_set()):
            acked = self._ledger.acked
            problem = self._run_session()
            if self._ledger.acked > acked:
                waits, progress_at = delays(_FIRST_WAIT_S, _LONGEST_WAIT_S), time.monotonic()
            self.problem = problem
            if problem and patience_s is not None and time.monotonic() - progress_at > patience_s:
                raise Unavailable(
                    f"The gateway at {self._line.target} cannot be reached ({problem}); "
                    f"{self._ledger.acked} of {self._ledger.taken} records are acknowledged. Is it running?"
                )
            if not self._ledger.complete:
                self._stopping.wait(next(waits))

    def stop(self) -> None:
        """Send nothing more; the stream that runs ends when its acks have come."""
        self._stopping.set()
        self._ledger.stop()

    def cut(self) -> None:
        """Do not even wait for the acks."""
        self._session.cancel()

    def _run_session(self) -> str | None:
        try:
            return self._session.run()
        except Unavailable as error:
            return str(error)
        except StreamRefused as error:
            tokens = self._line.access.tokens
            # Once for each refusal: a stream that had been open (and outlived its token) is a new matter.
            minted_again = self._minted_again and not self._session.was_open
            if tokens is None or not error.about_access or minted_again:
                raise
            tokens.forget()
            self._minted_again = True
            return str(error)
