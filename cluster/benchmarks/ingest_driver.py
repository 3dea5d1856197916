"""Tills in a process of their own: send records rendered beforehand and note when each is acknowledged.

Started with `python -m cluster.benchmarks.ingest_driver`: a Load as JSON on standard input, an Outcome on standard
output. What is sent is bytes and nothing is rendered while the clock runs, so that the driver is not what is measured.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from cluster.benchmarks.ingest_readers import Readers
from ingest.generated import wire_pb2

_METHOD = "/databricks.zerobus.Zerobus/EphemeralStream"
_TABLE = "retail.pos.receipts"
_HEADER = ("x-databricks-zerobus-table-name", _TABLE)
_SAMPLE = 50  # one receipt in so many is looked up right after its ack


@dataclass(frozen=True, slots=True)
class Load:
    """What to send where. `records_file` holds one JSON receipt a line.

    With `rate` (records/s of all streams) messages are due on a fixed schedule and latency counts from when each was
    due, so that a stall is charged to every record it delayed. Without, each stream keeps `window` messages under way.
    `reader` is the API role's connection string and `scope_id` its scope: with them a sample is looked up.
    """

    target: str
    records_file: str
    streams: int = 1
    batch_records: int = 1
    window: int = 500
    rate: float | None = None
    reader: str = ""
    scope_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen: latencies from a message due (or sent) to its ack, and what the driver itself used."""

    records: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    driver_cpu_us: float  # a record
    late_p99_ms: float  # how far behind its schedule the driver sent
    looked_up: int
    found: int

    @property
    def per_second(self) -> float:
        """Return acknowledged records a second."""
        return self.records / self.seconds


def drive(load: Load) -> Outcome:
    """Send everything; return when the last record is acknowledged. Raises grpc.RpcError when a stream breaks."""
    records = Path(load.records_file).read_bytes().splitlines()
    readers = Readers(load.reader, load.scope_id) if load.reader else None
    parts = [records[i :: load.streams] for i in range(load.streams)]
    tills = [_Till(load, number, part, readers) for number, part in enumerate(parts)]
    with grpc.insecure_channel(load.target) as channel:
        threads = [threading.Thread(target=till.run, args=(channel,)) for till in tills]
        for thread in threads:
            thread.start()
        for till in tills:
            till.opened.wait()
        cpu, began = time.process_time(), time.perf_counter()
        for till in tills:
            till.begin(began)
        for thread in threads:
            thread.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    for till in tills:
        if till.failure is not None:
            raise till.failure
    looked_up, found = readers.finish() if readers else (0, 0)
    delays = sorted(one for till in tills for one in till.delays)
    late = sorted(one for till in tills for one in till.late)
    p50, p95, p99 = (1_000 * _percentile(delays, share) for share in (0.5, 0.95, 0.99))
    cpu_us = cpu / len(records) * 1e6
    return Outcome(len(records), seconds, p50, p95, p99, cpu_us, 1_000 * _percentile(late, 0.99), looked_up, found)


class _Till:
    """One stream: a thread of gRPC's sends, another one reads acks."""

    def __init__(self, load: Load, number: int, records: Sequence[bytes], readers: Readers | None) -> None:
        self._load, self._number, self._records, self._readers = load, number, records, readers
        self._messages = [_message(i, batch) for i, batch in enumerate(_batches(records, load.batch_records))]
        self._room = threading.Semaphore(load.window)
        self._begun = threading.Event()
        self._start = 0.0
        self._sent: list[float] = []
        self.opened = threading.Event()
        self.failure: grpc.RpcError | None = None
        self.delays: list[float] = []
        self.late: list[float] = []

    def begin(self, start: float) -> None:
        """Send from now on; `start` is the beginning of the schedule that all tills share."""
        self._start = start
        self._begun.set()

    def run(self, channel: grpc.Channel) -> None:
        """Open the stream, send and read until everything is acknowledged."""
        try:
            answers = channel.stream_stream(_METHOD, None, None)(self._requests(), metadata=(_HEADER,))
            for answer in answers:
                now = time.perf_counter()
                said = wire_pb2.ToTill.FromString(answer)
                if said.WhichOneof("message") == "ack":
                    self._note(said.ack.durable_up_to, now)
                else:
                    self.opened.set()
        except grpc.RpcError as error:
            self.failure = error
            self.opened.set()

    def _requests(self) -> Iterator[bytes]:
        opening = wire_pb2.OpenStream(table_name=_TABLE, record_format=wire_pb2.JSON)
        yield wire_pb2.FromTill(open=opening).SerializeToString()
        self._begun.wait()
        for i, message in enumerate(self._messages):
            self._sent.append(self._await_turn(i))
            yield message

    def _await_turn(self, i: int) -> float:
        """Wait until message `i` is to be sent; return the time that its latency counts from."""
        if self._load.rate is None:
            self._room.acquire()
            return time.perf_counter()
        place = (i * self._load.streams + self._number) * self._load.batch_records
        due = self._start + place / self._load.rate
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        self.late.append(max(time.perf_counter() - due, 0.0))
        return due

    def _note(self, durable: int, now: float) -> None:
        for offset in range(len(self.delays), durable + 1):
            self.delays.append(now - self._sent[offset])
            if self._readers is not None and offset % _SAMPLE == 0:
                self._readers.ask(json.loads(self._records[offset * self._load.batch_records])["receipt_id"])
            self._room.release()


def _batches(records: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for first in range(0, len(records), size):
        yield records[first : first + size]


def _message(offset: int, batch: Sequence[bytes]) -> bytes:
    if len(batch) == 1:
        message = wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=offset, json=batch[0]))
    else:
        message = wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=offset, json=wire_pb2.Payloads(records=batch)))
    return message.SerializeToString()


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(drive(Load(**json.load(sys.stdin))))))
