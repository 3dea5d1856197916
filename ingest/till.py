"""A till: sends JSON records to a gateway and returns when every one of them is acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import grpc

from ingest.backoff import delays
from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.ledger import Batch, Ledger
from receipts.errors import InvalidInput, ReceiptsError, Unavailable

_BATCH_RECORDS = 100
_BATCH_BYTES = 4 * 2**20  # well below the 16 MiB that the gateway receives in one message
_MAX_RECORD_BYTES = 10_420_224  # the most that the Zerobus SDK sends in one call
_WINDOW = 20  # batches under way: enough to keep the gateway busy, little to send again
_PATIENCE_S = 30.0
_CHANNEL_OPTIONS = (("grpc.primary_user_agent", "receipts-till/0.1"), ("grpc.enable_retries", 0))
_TABLE_HEADER = "x-databricks-zerobus-table-name"
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}


class StreamRefused(ReceiptsError):
    """The gateway does not take this stream, and sending it again would not help."""


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
) -> Sent:
    """Send JSON records to a table in order; return when all are acknowledged: durable and readable.

    A lost connection is opened again and what was not acknowledged is sent again. `target` is host:port and
    `on_progress` is called after each ack. Raises Unavailable when nothing was acknowledged for `patience_s` and no
    stream could be kept open, StreamRefused when the gateway says no, and InvalidInput for a record that is empty or
    too large, after those before it are acknowledged.
    """
    ledger = Ledger(_batches(records), _WINDOW)
    waits, acked, progress_at = delays(0.1, 2.0), 0, time.monotonic()
    while not ledger.complete:
        problem = _session(ledger, table, target, on_progress)
        if ledger.acked > acked:
            waits, acked, progress_at = delays(0.1, 2.0), ledger.acked, time.monotonic()
        if problem is None:
            continue
        if time.monotonic() - progress_at > patience_s:
            raise Unavailable(
                f"The gateway at {target} cannot be reached ({problem}); "
                f"{ledger.acked} of {ledger.taken} records are acknowledged. Is it running?"
            )
        time.sleep(next(waits))
    if ledger.failure is not None:
        raise ledger.failure
    return Sent(ledger.taken, ledger.acked)


def _session(ledger: Ledger, table: str, target: str, on_progress: Callable[[Sent], None] | None) -> str | None:
    """Run one stream to its end; return what broke it, or None when it ended in order."""
    session = ledger.begin()
    with grpc.insecure_channel(target, options=_CHANNEL_OPTIONS) as channel:
        call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream(
            _messages(ledger, session, table), metadata=((_TABLE_HEADER, table),)
        )
        try:
            for answer in call:
                kind = answer.WhichOneof("message")
                if kind == "opened":
                    ledger.opened()
                elif kind == "close_soon":
                    ledger.end()
                elif kind == "ack":
                    ledger.acknowledge(answer.ack.durable_up_to)
                    if on_progress is not None:
                        on_progress(Sent(ledger.taken, ledger.acked))
        except grpc.RpcError as error:
            if error.code() in _FINAL:
                raise StreamRefused(f"The gateway at {target} refused the stream: {error.details()}") from None
            return str(error.details())
        finally:
            ledger.end()
    return None


def _messages(ledger: Ledger, session: int, table: str) -> Iterator[wire_pb2.FromTill]:
    yield wire_pb2.FromTill(open=wire_pb2.OpenStream(table_name=table, record_format=wire_pb2.JSON))
    for offset, batch in ledger.batches(session):
        records = wire_pb2.Payloads(records=batch)
        yield wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=offset, json=records))


def _batches(records: Iterable[str]) -> Iterator[Batch]:
    """Group records; what came before a bad record or a failing source is yielded before the error is raised."""
    batch: list[bytes] = []
    size = 0
    try:
        for number, text in enumerate(records, 1):
            record = text.encode()
            _check(record, number)
            if batch and (len(batch) >= _BATCH_RECORDS or size + len(record) > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += len(record)
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _check(record: bytes, number: int) -> None:
    if not record.strip():
        raise InvalidInput("record", f"number {number} is empty")
    if len(record) > _MAX_RECORD_BYTES:
        raise InvalidInput(
            "record", f"number {number} has {len(record)} bytes; at most {_MAX_RECORD_BYTES} can be sent"
        )
