"""A till that remembers what it sent and what was acknowledged, and sends again what was not, as the SDK does."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import grpc
import polars as pl

from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.invariants import read_sent
from tests.fixtures.retail import make_receipt

PATIENCE_S = 120  # for anything that must happen in the end: a deadline for a broken platform, never waited for
_TABLE = "retail.pos.receipts"
_WINDOW = 60  # messages under way
_PACE_S = 0.02  # between messages: a load, not a flood
_AGAIN_S = 0.1
_LOOK_S = 0.5  # between two looks whether the platform lives
_MOST = 8  # receipts in a message
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)  # a new connection each time, without another one's back-off
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass(frozen=True, slots=True)
class Message:
    """Receipts that travel together, and where they stand in the history."""

    payloads: Sequence[bytes]
    positions: range


class History:
    """What all tills of a drill sent, in order, and which of it was acknowledged."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sent: list[tuple[str, str]] = []  # receipt id, digest
        self._acked: set[int] = set()

    @property
    def sent(self) -> int:
        with self._changed:
            return len(self._sent)

    @property
    def acked(self) -> int:
        with self._changed:
            return len(self._acked)

    def note_sent(self, receipts: Sequence[tuple[str, bytes]]) -> range:
        with self._changed:
            first = len(self._sent)
            self._sent += [(key, hashlib.sha256(payload).hexdigest()) for key, payload in receipts]
            return range(first, len(self._sent))

    def note_acked(self, positions: range) -> None:
        with self._changed:
            self._acked.update(positions)
            self._changed.notify_all()

    def wait_for_acks(self, more: int, check: Callable[[], None]) -> None:
        """Return when so many more receipts are acknowledged than are now; `check` fails when that cannot be."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            wanted = len(self._acked) + more
            while not self._changed.wait_for(lambda: len(self._acked) >= wanted, _LOOK_S):
                check()
                assert time.monotonic() < deadline, f"{len(self._acked)} receipts are acknowledged, not {wanted}"

    def write(self, path: Path) -> None:
        """Write the file that `receipts ingest verify --sent` reads."""
        with self._changed, path.open("w") as file:
            for position, (key, digest) in enumerate(self._sent):
                told = {"receipt_id": key, "payload_digest": digest, "acked": position in self._acked}
                file.write(json.dumps(told) + "\n")

    def frame(self, folder: Path) -> pl.DataFrame:
        self.write(folder / "sent.jsonl")
        return read_sent(folder / "sent.jsonl")


class Till:
    """Sends receipts of its stores to a gateway from a thread of its own until it is told to finish."""

    def __init__(self, target: str, stores: Sequence[int], history: History, seed: int) -> None:
        self._target = target
        self._stores = stores
        self._history = history
        self._random = random.Random(seed)
        self._numbers = iter(range(1, 1_000_000))
        self._changed = threading.Condition()
        self._unacked: deque[Message] = deque()
        self._session = 0
        self._sent_in_session = 0
        self._open = self._finishing = self._abandoned = False
        self._call: grpc.Call | None = None
        self.broken = 0  # sessions that did not end in order
        self.failure: grpc.RpcError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close_shop(self) -> None:
        """Send nothing new, and finish when all is acknowledged."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        return not self._thread.is_alive() and self.failure is None

    def abandon(self) -> None:
        """End at once, whatever is under way."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            if self._call is not None:
                self._call.cancel()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not (self._abandoned or self._done()):
            try:
                with grpc.insecure_channel(self._target, options=_OPTIONS) as channel:
                    self._converse(channel)
            except grpc.RpcError as error:
                self.broken += 1
                if error.code() in _FINAL:
                    self.failure = error
                    return
            with self._changed:
                self._changed.wait_for(lambda: self._abandoned, _AGAIN_S)

    def _done(self) -> bool:
        with self._changed:
            return self._finishing and not self._unacked

    def _converse(self, channel: grpc.Channel) -> None:
        with self._changed:
            self._session += 1
            self._sent_in_session, self._open, acked = 0, False, -1
            session = self._session
        call = self._call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream(self._messages(session))
        try:
            for answer in call:
                with self._changed:
                    match answer.WhichOneof("message"):
                        case "opened":
                            self._open = True
                        case "close_soon":
                            self._session += 1
                        case "ack":
                            for _ in range(answer.ack.durable_up_to - acked):
                                self._history.note_acked(self._unacked.popleft().positions)
                                self._sent_in_session -= 1
                            acked = answer.ack.durable_up_to
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._session += 1
                self._changed.notify_all()

    def _messages(self, session: int) -> Iterator[wire_pb2.FromTill]:
        yield wire_pb2.FromTill(open=wire_pb2.OpenStream(table_name=_TABLE, record_format=wire_pb2.JSON))
        offset = 0
        while (message := self._next(lambda: self._abandoned or self._session != session)) is not None:
            if len(message.payloads) == 1:
                one = wire_pb2.OneRecord(offset=offset, json=message.payloads[0])
                yield wire_pb2.FromTill(record=one)
            else:
                records = wire_pb2.Payloads(records=message.payloads)
                yield wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=offset, json=records))
            offset += 1

    def _next(self, ended: Callable[[], bool]) -> Message | None:
        """Return what this session has not sent yet, or something new at the till's pace."""
        with self._changed:
            self._changed.wait_for(lambda: ended() or (self._open and self._sent_in_session < _WINDOW))
            if ended():
                return None
            if self._sent_in_session == len(self._unacked):
                self._changed.wait_for(lambda: ended() or self._finishing, _PACE_S)
                if ended() or self._finishing:
                    return None
                self._unacked.append(self._sell())
            message = self._unacked[self._sent_in_session]
            self._sent_in_session += 1
            return message

    def _sell(self) -> Message:
        receipts: list[tuple[str, bytes]] = []
        for _ in range(self._random.randint(1, _MOST)):
            receipt = make_receipt(
                store_id=self._random.choice(self._stores),
                sequence_number=next(self._numbers),
                business_date=date(2026, 11, 17),
                customer_id=None,
            )
            receipts.append((receipt.receipt_id, receipt.canonical().encode()))
        return Message([payload for _, payload in receipts], self._history.note_sent(receipts))
