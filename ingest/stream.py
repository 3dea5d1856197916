"""One till's stream: records in, cumulative acks out, in the Zerobus-compatible protocol of wire.proto."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from configs.settings import IngestSettings
from ingest.generated import wire_pb2
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.records import Incoming
from ingest.submissions import Submission
from ingest.writer import Writer
from receipts.tracing import current, within

if TYPE_CHECKING:
    from receipts.spans import Span, Tracing

_CLOSE_BEFORE_S = 60.0  # how long before its token expires a till is asked to come back with a new one
Context = grpc.aio.ServicerContext[Any, Any]


class ProtocolError(Exception):
    """The till does not keep to the protocol: the status it is told, and a sentence."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Stream:
    """Reads messages and acknowledges them once they are durable.

    Beyond `max_unacked_records` or `max_unacked_bytes` it reads no further, which holds the till by HTTP/2 flow
    control. Shortly before its token expires the till is asked to come back on a new stream.
    """

    def __init__(
        self,
        record_format: int,
        intake: Intake,
        writer: Writer,
        settings: IngestSettings,
        metrics: Metrics,
        tracing: Tracing | None,
    ) -> None:
        self._payload = "json" if record_format == wire_pb2.JSON else "proto"
        self._intake = intake
        self._writer = writer
        self._settings = settings
        self._tracing = tracing
        self._opening = current()  # the span within which the stream was opened
        self._expires_at = intake.expires_at
        self._metrics = metrics
        self._received_bytes = metrics.bytes.labels(intake.bronze_table)
        self._unacked_records = 0
        self._unacked_bytes = 0
        self._received = -1  # the last offset that was handed to the writer
        self._durable = -1  # the last offset that is committed, with all before it
        self._complete = False  # nothing more will be read
        self._closing_s = 0.0  # what the close signal says; 0: none to send
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self, messages: AsyncIterator[wire_pb2.FromTill], context: Context) -> None:
        """Serve the stream until the till half-closes it and everything read is acknowledged.

        Raises ProtocolError, but only after what came before the offence is durable and acknowledged.
        """
        offence: ProtocolError | None = None
        acks = asyncio.create_task(self._send_acks(context))
        left_s = (self._expires_at - datetime.now(UTC)).total_seconds()
        loop = asyncio.get_running_loop()
        warning = loop.call_later(max(left_s - _CLOSE_BEFORE_S, 0.0), self.ask_to_close, min(left_s, _CLOSE_BEFORE_S))
        try:
            try:
                async with asyncio.timeout(left_s):
                    await self._read(messages)
            except TimeoutError:
                offence = ProtocolError(grpc.StatusCode.UNAUTHENTICATED, "The token of this stream has expired.")
            except ProtocolError as error:
                offence = error
            self._complete = True
            self._changed.set()
            await acks
        finally:
            warning.cancel()
            acks.cancel()
        if offence is not None:
            raise offence

    def ask_to_close(self, within_s: float) -> None:
        """Tell the till to finish and to come back on a new stream."""
        self._closing_s = within_s
        self._changed.set()

    async def _read(self, messages: AsyncIterator[wire_pb2.FromTill]) -> None:
        async for message in messages:
            read_at = time.perf_counter()
            offset, payloads = self._open(message)
            if offset != self._received + 1:
                raise _invalid(f"offset {offset} is out of order: expected {self._received + 1}, one for each message.")
            span = self._begin_message()
            with within(None if span is None else span.child("validate")):
                records = await self._intake.validate(payloads)
            self._submit(offset, records, sum(map(len, payloads)), read_at, span)
            while self._is_full():
                self._room.clear()
                await self._room.wait()

    def _begin_message(self) -> Span | None:
        links = () if self._opening is None else (self._opening,)
        return None if self._tracing is None else self._tracing.start("gateway.message", "server", links=links)

    def _submit(
        self, offset: int, records: Sequence[Incoming], size_bytes: int, read_at: float, span: Span | None
    ) -> None:
        """Hand a message to the writer; nothing waits in here, so a stream that is cut did all of it or nothing."""
        self._received = offset
        self._unacked_records += len(records)
        self._unacked_bytes += size_bytes
        self._received_bytes.inc(size_bytes)
        self._metrics.in_flight.inc(len(records))
        note = partial(self._note, offset, len(records), size_bytes, read_at, span)
        self._writer.submit(Submission(records, note, size_bytes, span))

    def _is_full(self) -> bool:
        return (
            self._unacked_records >= self._settings.max_unacked_records
            or self._unacked_bytes >= self._settings.max_unacked_bytes
        )

    def _open(self, message: wire_pb2.FromTill) -> tuple[int, Sequence[bytes]]:
        kind = message.WhichOneof("message")
        if kind == "open":
            raise _invalid("The stream is open already; open a second stream for another table.")
        if kind is None:
            raise _invalid("The message carries neither a record nor a batch.")
        body = message.record if kind == "record" else message.batch
        payload = body.WhichOneof("payload")
        if payload != self._payload:
            raise _invalid(f"The stream was opened for {self._payload} records, but this one is {payload or 'empty'}.")
        if not body.HasField("offset"):
            raise _invalid("The message carries no offset.")
        content = getattr(body, payload)
        return body.offset, [content] if kind == "record" else content.records

    def _note(self, offset: int, records: int, size_bytes: int, read_at: float, span: Span | None) -> None:
        if span is not None:
            span.tell({"receipts.records": records, "receipts.bytes": size_bytes})
            span.end()
        self._durable = offset
        self._unacked_records -= records
        self._unacked_bytes -= size_bytes
        self._metrics.in_flight.dec(records)
        self._metrics.ack_seconds.observe(time.perf_counter() - read_at)
        self._changed.set()
        self._room.set()

    async def _send_acks(self, context: Context) -> None:
        """Write one ack for all that became durable since the last one; never below it and never beyond what came."""
        acked = -1
        while not (self._complete and acked == self._received):
            await self._changed.wait()
            self._changed.clear()
            if self._closing_s and not self._complete:
                signal = wire_pb2.ToTill()
                signal.close_soon.within.FromTimedelta(timedelta(seconds=self._closing_s))
                self._closing_s = 0.0
                await context.write(signal)
            if self._durable > acked:
                acked = self._durable
                await context.write(wire_pb2.ToTill(ack=wire_pb2.Ack(durable_up_to=acked)))


def _invalid(sentence: str) -> ProtocolError:
    return ProtocolError(grpc.StatusCode.INVALID_ARGUMENT, sentence)
