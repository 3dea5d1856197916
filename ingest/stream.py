"""One till's stream: records in, cumulative acks out, in the Zerobus-compatible protocol of wire.proto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import grpc
import grpc.aio

from ingest.generated import wire_pb2
from ingest.intake import Intake
from ingest.writer import Submission, Writer

Context = grpc.aio.ServicerContext[Any, Any]


class ProtocolError(Exception):
    """The till does not keep to the protocol: the status it is told, and a sentence."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Stream:
    """Reads messages and acknowledges them once they are durable.

    Beyond `max_unacked_records` it reads no further, which holds the till by HTTP/2 flow control.
    """

    def __init__(self, record_format: int, intake: Intake, writer: Writer, max_unacked_records: int) -> None:
        self._payload = "json" if record_format == wire_pb2.JSON else "proto"
        self._intake = intake
        self._writer = writer
        self._max_unacked_records = max_unacked_records
        self._unacked_records = 0
        self._received = -1  # the last offset that was read
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
        try:
            try:
                await self._read(messages)
            except ProtocolError as error:
                offence = error
            self._complete = True
            self._changed.set()
            await acks
        finally:
            acks.cancel()
        if offence is not None:
            raise offence

    def ask_to_close(self, within_s: float) -> None:
        """Tell the till to finish and to come back on a new stream."""
        self._closing_s = within_s
        self._changed.set()

    async def _read(self, messages: AsyncIterator[wire_pb2.FromTill]) -> None:
        async for message in messages:
            offset, payloads = self._open(message)
            if offset != self._received + 1:
                raise _invalid(f"offset {offset} is out of order: expected {self._received + 1}, one for each message.")
            self._received = offset
            records = await self._intake.validate(payloads)
            self._unacked_records += len(records)
            self._writer.submit(Submission(records, partial(self._note, offset, len(records))))
            while self._unacked_records >= self._max_unacked_records:
                self._room.clear()
                await self._room.wait()

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

    def _note(self, offset: int, records: int) -> None:
        self._durable = offset
        self._unacked_records -= records
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
